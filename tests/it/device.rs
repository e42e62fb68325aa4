//! The device that models are tested on: the CPU, or what `ASSAY_TEST_DEVICE` names (`cuda:0` in a build with CUDA).

use std::path::Path;

use assay::compute::DeviceChoice;
use assay::ml::vlm::LoadWish;
use assay::ml::vlm::LocalModel;
use assay::ml::vlm::ModelFiles;
use assay::ml::vlm::weights::Form;

/// The device.
pub(crate) fn device() -> DeviceChoice {
    let named = std::env::var("ASSAY_TEST_DEVICE");
    named.map_or(DeviceChoice::Cpu, |name| name.parse().expect("a device"))
}

/// A model on it in single precision, as references are.
pub(crate) fn single() -> LoadWish {
    LoadWish {
        form: Some(Form::F32),
        ..LoadWish::on(device())
    }
}

/// A folder's model in that form.
pub(crate) fn load(folder: &Path) -> LocalModel {
    let files = ModelFiles::Folder(folder.to_owned());
    LocalModel::open(&files, &single()).expect("the model loads")
}
