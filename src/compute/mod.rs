//! Devices, memory-mapped weights and fused kernels: the only room with `unsafe` and feature gates.
