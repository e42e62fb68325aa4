//! Tensors of torch's zip archives (`.bin`, `.pth`, Lightning's `.ckpt`), read without running a byte of them.
//!
//! **Source** torch 2.x, `torch/serialization.py` (the archive), `torch/_utils.py` (how tensors are rebuilt).

mod machine;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Error, Result, Tensor, bail};
use zip::ZipArchive;

use self::machine::{Heap, Id, Node};
use super::Source;

/// Archives that together hold tensors.
pub struct PickleFiles {
    paths: Vec<PathBuf>,
    places: BTreeMap<String, Place>,
}

/// Where a tensor's numbers lie: from `start` on in a member of an archive, `strides` apart.
#[derive(Debug, Clone, PartialEq)]
struct Place {
    file: usize,
    member: String,
    dtype: DType,
    start: usize,
    shape: Vec<usize>,
    strides: Vec<usize>,
}

impl PickleFiles {
    /// Reads what the archives hold: the tensors of their dictionary, or of the one under `key` in it.
    ///
    /// # Errors
    /// A file that is no such archive, named, with what to do.
    pub fn open(paths: Vec<PathBuf>, key: Option<&str>) -> Result<Self> {
        let mut places = BTreeMap::new();
        for (file, path) in paths.iter().enumerate() {
            let found = read_archive(path, file, key).map_err(|error| error.with_path(path))?;
            places.extend(found);
        }
        Ok(Self { paths, places })
    }

    fn load(&self, place: &Place) -> Result<Tensor> {
        let count: usize = place.shape.iter().product();
        if count == 0 {
            return Tensor::zeros(place.shape.as_slice(), place.dtype, &Device::Cpu);
        }
        let reach = place.shape.iter().zip(&place.strides);
        let reach = 1 + reach.map(|(len, stride)| (len - 1) * stride).sum::<usize>();
        let width = place.dtype.size_in_bytes();
        let bytes = member_bytes(
            &self.paths[place.file],
            &place.member,
            (place.start * width) as u64,
            reach * width,
        )?;
        let stored = Tensor::from_raw_buffer(&bytes, place.dtype, &[reach], &Device::Cpu)?;
        if place.strides == contiguous(&place.shape) {
            return stored.reshape(place.shape.as_slice());
        }
        let order = Tensor::from_vec(positions(place), count, &Device::Cpu)?;
        stored
            .index_select(&order, 0)?
            .reshape(place.shape.as_slice())
    }
}

impl Source for PickleFiles {
    fn shape(&self, name: &str) -> Option<Vec<usize>> {
        self.places.get(name).map(|place| place.shape.clone())
    }

    fn read(&self, name: &str) -> Result<Tensor> {
        let Some(place) = self.places.get(name) else {
            bail!("the weights lack {name}")
        };
        self.load(place).map_err(|error| {
            error
                .context(name.to_owned())
                .with_path(&self.paths[place.file])
        })
    }

    fn names(&self) -> Vec<String> {
        self.places.keys().cloned().collect()
    }
}

fn contiguous(shape: &[usize]) -> Vec<usize> {
    let mut strides = vec![1; shape.len()];
    for dim in (1..shape.len()).rev() {
        strides[dim - 1] = strides[dim] * shape[dim];
    }
    strides
}

/// Where each value lies in the storage, in row-major order.
fn positions(place: &Place) -> Vec<u32> {
    let mut all = vec![0_u32];
    for (len, stride) in place.shape.iter().zip(&place.strides) {
        all = all
            .iter()
            .flat_map(|base| (0..*len).map(move |at| base + (at * stride) as u32))
            .collect();
    }
    all
}

fn open_archive(path: &Path) -> Result<ZipArchive<BufReader<File>>> {
    let mut file = BufReader::new(File::open(path)?);
    let mut start = [0; 2];
    let is_zip = file.read_exact(&mut start).is_ok() && &start == b"PK";
    if !is_zip {
        bail!(
            "expected a zip archive as torch has written them since version 1.6; files of older versions hold bare \
             pickles: load it with that torch and save it again"
        );
    }
    file.rewind()?;
    ZipArchive::new(file).map_err(|error| {
        Error::Msg(format!(
            "the archive cannot be read ({error}): it may be cut off, copy or download it again"
        ))
    })
}

fn read_archive(path: &Path, file: usize, key: Option<&str>) -> Result<Vec<(String, Place)>> {
    let mut archive = open_archive(path)?;
    let names: Vec<String> = archive
        .file_names()
        .filter_map(|name| name.ok().map(std::borrow::Cow::into_owned))
        .collect();
    let Some(pickle) = names.iter().find(|name| name.ends_with("data.pkl")) else {
        bail!("the archive holds no data.pkl: it was not written by torch.save")
    };
    let folder = pickle.trim_end_matches("data.pkl").to_owned();
    if let Ok(mut order) = archive.by_name(&format!("{folder}byteorder")) {
        let mut word = String::new();
        order.read_to_string(&mut word)?;
        if word.trim() != "little" {
            bail!(
                "its numbers are stored {word} end first: save it again on a little-endian machine"
            )
        }
    }
    let heap = machine::read(BufReader::new(
        archive.by_name(pickle).map_err(Error::wrap)?,
    ))?;
    let root = match key {
        None => heap.root(),
        Some(key) => match heap.get(heap.root(), key) {
            Some(inner) => inner,
            None => bail!("it has no {key:?}: this is no checkpoint of that kind"),
        },
    };
    let Some(items) = heap.items(root) else {
        bail!("expected a dictionary of tensors")
    };
    let mut places = Vec::new();
    for (name, value) in items {
        if let Some(name) = heap.text(*name)
            && let Some(mut place) = place(&heap, *value).map_err(|e| e.context(name.to_owned()))?
        {
            place.file = file;
            place.member = format!("{folder}data/{}", place.member);
            places.push((name.to_owned(), place));
        }
    }
    Ok(places)
}

/// Where the numbers of a rebuilt tensor lie; `None` for what is no tensor.
fn place(heap: &Heap, id: Id) -> Result<Option<Place>> {
    let Node::Call { callee, args, .. } = heap.node(id) else {
        return Ok(None);
    };
    let args = heap.members(*args).unwrap_or_default();
    let argument = |at: usize| match args.get(at) {
        Some(id) => Ok(*id),
        None => bail!("a tensor that is rebuilt from too little"),
    };
    match heap.class(*callee) {
        Some("torch._utils._rebuild_parameter" | "torch._utils._rebuild_parameter_with_state") => {
            place(heap, argument(0)?)
        }
        Some("torch._tensor._rebuild_from_type_v2") => {
            // (function, type, its arguments, state)
            let inner = heap.members(argument(2)?).unwrap_or_default();
            rebuilt(heap, inner, None).map(Some)
        }
        Some("torch._utils._rebuild_tensor_v2" | "torch._utils._rebuild_tensor") => {
            rebuilt(heap, args, None).map(Some)
        }
        Some("torch._utils._rebuild_tensor_v3") => {
            let dtype = heap.class(argument(6)?).and_then(dtype_of_name);
            rebuilt(heap, args, dtype).map(Some)
        }
        _ => Ok(None),
    }
}

/// `(storage, offset, size, stride, ..)`.
fn rebuilt(heap: &Heap, args: &[Id], dtype: Option<DType>) -> Result<Place> {
    let numbers = |id: Id| -> Option<Vec<usize>> {
        let members = heap.members(id)?.iter();
        members
            .map(|id| heap.int(*id).and_then(|value| usize::try_from(value).ok()))
            .collect()
    };
    let read = || -> Option<Place> {
        let [storage, offset, size, stride, ..] = args else {
            return None;
        };
        let Node::Persistent(storage) = heap.node(*storage) else {
            return None;
        };
        // ("storage", type, key, device, length)
        let storage = heap.members(*storage)?;
        let of_storage = heap.class(*storage.get(1)?).and_then(dtype_of_name);
        Some(Place {
            file: 0,
            member: heap.text(*storage.get(2)?)?.to_owned(),
            dtype: dtype.or(of_storage)?,
            start: usize::try_from(heap.int(*offset)?).ok()?,
            shape: numbers(*size)?,
            strides: numbers(*stride)?,
        })
    };
    let Some(place) = read() else {
        bail!("a tensor of a kind that is not known here")
    };
    let mut reach = 1_usize;
    for (len, stride) in place.shape.iter().zip(&place.strides) {
        let far = len.saturating_sub(1).saturating_mul(*stride);
        reach = reach.saturating_add(far);
    }
    if place.shape.len() != place.strides.len() || reach > u32::MAX as usize {
        bail!("a tensor of sizes that make no sense: {:?}", place.shape)
    }
    Ok(place)
}

fn dtype_of_name(name: &str) -> Option<DType> {
    match name.trim_start_matches("torch.") {
        "FloatStorage" | "float32" => Some(DType::F32),
        "DoubleStorage" | "float64" => Some(DType::F64),
        "HalfStorage" | "float16" => Some(DType::F16),
        "BFloat16Storage" | "bfloat16" => Some(DType::BF16),
        "LongStorage" | "int64" => Some(DType::I64),
        "IntStorage" | "int32" => Some(DType::I32),
        "ByteStorage" | "BoolStorage" | "uint8" | "bool" => Some(DType::U8),
        _ => None,
    }
}

fn member_bytes(path: &Path, member: &str, start: u64, len: usize) -> Result<Vec<u8>> {
    let mut archive = open_archive(path)?;
    let mut bytes = vec![0; len];
    // torch stores members as they are, so that their parts can be read alone.
    let mut member = archive.by_name_seek(member).map_err(Error::wrap)?;
    member.seek(SeekFrom::Start(start))?;
    member.read_exact(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fixture(name: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/fixtures/pickle")
            .join(name)
    }

    #[test]
    fn tensors_of_every_kind_come_out_as_torch_wrote_them() -> Result<()> {
        let files = PickleFiles::open(vec![fixture("kinds.pt")], Some("state_dict"))?;
        let golden = candle_core::safetensors::load(fixture("kinds.safetensors"), &Device::Cpu)?;
        assert_eq!(files.names().len(), golden.len());
        let golden: std::collections::BTreeMap<_, _> = golden.into_iter().collect();
        for (name, expected) in golden {
            let ours = files.read(&name)?;
            assert_eq!(ours.dims(), expected.dims(), "{name}");
            let values = |tensor: &Tensor| -> Result<Vec<f64>> {
                tensor.flatten_all()?.to_dtype(DType::F64)?.to_vec1()
            };
            assert_eq!(values(&ours)?, values(&expected)?, "{name}");
        }
        Ok(())
    }

    #[test]
    fn files_of_other_kinds_are_refused_in_words() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("old.ckpt");
        let words = |bytes: &[u8]| -> Result<String> {
            std::fs::write(&path, bytes)?;
            let error = PickleFiles::open(vec![path.clone()], None).err();
            Ok(error.map(|error| error.to_string()).unwrap_or_default())
        };
        assert!(words(b"\x80\x02\x8a\x0al\xfc\x9cF\xf9")?.contains("older versions"));
        let whole = std::fs::read(fixture("kinds.pt"))?;
        assert!(words(&whole[..whole.len() / 2])?.contains("cut off"));
        let error = PickleFiles::open(vec![fixture("kinds.pt")], Some("model")).err();
        assert!(error.is_some_and(|error| error.to_string().contains("\"model\"")));
        Ok(())
    }
}
