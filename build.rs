//! Compiles the kernels of `compute/gpu` where the build is one for NVIDIA GPUs.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    #[cfg(feature = "cuda")]
    cuda();
}

/// To PTX, as candle compiles its own: `CUDA_COMPUTE_CAP` or the GPU at hand says for what.
#[cfg(feature = "cuda")]
fn cuda() {
    const SOURCE: &str = "src/compute/gpu/kernels.cu";
    println!("cargo::rerun-if-changed={SOURCE}");
    let out = std::env::var("OUT_DIR").expect("cargo says where results go");
    let ptx = cudaforge::KernelBuilder::new()
        .source_files([SOURCE])
        .arg("-std=c++17")
        .arg("-O3")
        .build_ptx()
        .expect("nvcc compiles the kernels; docs/CUDA.md says what it needs");
    ptx.write(std::path::Path::new(&out).join("ptx.rs"))
        .expect("results can be written");
}
