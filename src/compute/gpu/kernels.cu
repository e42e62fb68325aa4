// What a fine-tuning does on a GPU that candle has no kernel for: ways back of its fused operations, values that are left
// out, and the optimiser's step. Operands are contiguous; every number is computed in single precision.

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <stdint.h>

typedef unsigned long long count_t;

__device__ inline float single(float x) { return x; }
__device__ inline float single(__half x) { return __half2float(x); }
__device__ inline float single(__nv_bfloat16 x) { return __bfloat162float(x); }
__device__ inline void store(float *at, float x) { *at = x; }
__device__ inline void store(__half *at, float x) { *at = __float2half(x); }
__device__ inline void store(__nv_bfloat16 *at, float x) { *at = __float2bfloat16(x); }

// Threads of a block that shares a row, and of every other block.
constexpr int THREADS = 256;

// Sum over a block, the same to every thread; sums are added in one order always.
__device__ float block_sum(float x) {
  __shared__ float parts[THREADS / 32];
  for (int step = 16; step > 0; step /= 2) x += __shfl_xor_sync(0xffffffff, x, step);
  if (threadIdx.x % 32 == 0) parts[threadIdx.x / 32] = x;
  __syncthreads();
  float sum = 0;
  for (int part = 0; part < THREADS / 32; part++) sum += parts[part];
  __syncthreads();
  return sum;
}

__device__ float block_most(float x) {
  __shared__ float parts[THREADS / 32];
  for (int step = 16; step > 0; step /= 2) x = fmaxf(x, __shfl_xor_sync(0xffffffff, x, step));
  if (threadIdx.x % 32 == 0) parts[threadIdx.x / 32] = x;
  __syncthreads();
  float most = parts[0];
  for (int part = 1; part < THREADS / 32; part++) most = fmaxf(most, parts[part]);
  __syncthreads();
  return most;
}

#define EACH(i, n)                                                                                                     \
  for (count_t i = blockIdx.x * (count_t)THREADS + threadIdx.x; i < n; i += gridDim.x * (count_t)THREADS)

// silu(gate) * up
template <typename T> __device__ void silu_times(const T *gate, const T *up, T *out, count_t n) {
  EACH(i, n) {
    float g = single(gate[i]);
    store(out + i, g / (1 + expf(-g)) * single(up[i]));
  }
}

template <typename T>
__device__ void silu_times_back(const T *gate, const T *up, const T *grad, T *grad_gate, T *grad_up, count_t n) {
  EACH(i, n) {
    float g = single(gate[i]), d = single(grad[i]);
    float s = 1 / (1 + expf(-g));
    store(grad_gate + i, d * single(up[i]) * s * (1 + g * (1 - s)));
    store(grad_up + i, d * g * s);
  }
}

// GELU by its hyperbolic tangent
template <typename T> __device__ void gelu_back(const T *x, const T *grad, T *out, count_t n) {
  const float root = 0.7978845608028654f, cubic = 0.044715f;
  EACH(i, n) {
    float v = single(x[i]);
    float t = tanhf(root * (v + cubic * v * v * v));
    float slope = 0.5f * (1 + t + v * (1 - t * t) * root * (1 + 3 * cubic * v * v));
    store(out + i, single(grad[i]) * slope);
  }
}

// x * sigmoid(1.702 x)
template <typename T> __device__ void quick_gelu_back(const T *x, const T *grad, T *out, count_t n) {
  EACH(i, n) {
    float v = 1.702f * single(x[i]);
    float s = 1 / (1 + expf(-v));
    store(out + i, single(grad[i]) * s * (1 + v * (1 - s)));
  }
}

// A block takes a row of `width`.
template <typename T> __device__ void softmax_back(const T *out, const T *grad, T *result, count_t width) {
  count_t row = blockIdx.x * width;
  float along = 0;
  for (count_t i = threadIdx.x; i < width; i += THREADS) along += single(out[row + i]) * single(grad[row + i]);
  along = block_sum(along);
  for (count_t i = threadIdx.x; i < width; i += THREADS)
    store(result + row + i, (single(grad[row + i]) - along) * single(out[row + i]));
}

// A token sees itself, those before it, and what is behind a cache: rows of `width` keys, `seq` of them a head.
template <typename T> __device__ void softmax_causal(const T *x, T *out, count_t width, count_t seq) {
  count_t row = blockIdx.x * width, seen = width - seq + blockIdx.x % seq + 1;
  float most = -INFINITY, sum = 0;
  for (count_t i = threadIdx.x; i < seen; i += THREADS) most = fmaxf(most, single(x[row + i]));
  most = block_most(most);
  for (count_t i = threadIdx.x; i < seen; i += THREADS) sum += expf(single(x[row + i]) - most);
  float scale = 1 / block_sum(sum);
  for (count_t i = threadIdx.x; i < width; i += THREADS)
    store(out + row + i, i < seen ? expf(single(x[row + i]) - most) * scale : 0.f);
}

// From the gradient of (x - mean) / deviation * weight to that of x; without the mean where the norm has none.
template <typename T>
__device__ void norm_back(const T *x, const T *weight, const T *grad, T *out, count_t width, float eps, int centred) {
  count_t row = blockIdx.x * width;
  float mean = 0, square = 0, along = 0, shift = 0;
  if (centred) {
    for (count_t i = threadIdx.x; i < width; i += THREADS) mean += single(x[row + i]);
    mean = block_sum(mean) / width;
  }
  for (count_t i = threadIdx.x; i < width; i += THREADS) {
    float v = single(x[row + i]) - mean, g = single(grad[row + i]) * single(weight[i]);
    square += v * v;
    along += g * v;
    shift += g;
  }
  float scale = rsqrtf(block_sum(square) / width + eps);
  along = block_sum(along) * scale / width;
  shift = centred ? block_sum(shift) / width : 0;
  for (count_t i = threadIdx.x; i < width; i += THREADS) {
    float v = (single(x[row + i]) - mean) * scale, g = single(grad[row + i]) * single(weight[i]);
    store(out + row + i, (g - v * along - shift) * scale);
  }
}

// Values left out by the generator splitmix64 (Steele, Lea and Flood 2014), two a number, as on the CPU.
template <typename T>
__device__ void leave_out(const T *x, T *out, count_t n, uint64_t seed, uint64_t limit, float kept) {
  EACH(i, n) {
    uint64_t z = seed + (i / 2 + 1) * 0x9e3779b97f4a7c15ull;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    z ^= z >> 31;
    uint64_t half = i % 2 == 0 ? z >> 32 : z & 0xffffffffull;
    store(out + i, half < limit ? 0.f : single(x[i]) * kept);
  }
}

#define FOR_TYPE(T, NAME)                                                                                              \
  extern "C" __global__ void silu_times_##NAME(const T *gate, const T *up, T *out, count_t n) {                        \
    silu_times(gate, up, out, n);                                                                                      \
  }                                                                                                                    \
  extern "C" __global__ void silu_times_back_##NAME(const T *gate, const T *up, const T *grad, T *of_gate, T *of_up,   \
                                                    count_t n) {                                                       \
    silu_times_back(gate, up, grad, of_gate, of_up, n);                                                                \
  }                                                                                                                    \
  extern "C" __global__ void gelu_back_##NAME(const T *x, const T *grad, T *out, count_t n) {                          \
    gelu_back(x, grad, out, n);                                                                                        \
  }                                                                                                                    \
  extern "C" __global__ void quick_gelu_back_##NAME(const T *x, const T *grad, T *out, count_t n) {                    \
    quick_gelu_back(x, grad, out, n);                                                                                  \
  }                                                                                                                    \
  extern "C" __global__ void softmax_back_##NAME(const T *out, const T *grad, T *result, count_t width) {              \
    softmax_back(out, grad, result, width);                                                                            \
  }                                                                                                                    \
  extern "C" __global__ void softmax_causal_##NAME(const T *x, T *out, count_t width, count_t seq) {                   \
    softmax_causal(x, out, width, seq);                                                                                \
  }                                                                                                                    \
  extern "C" __global__ void norm_back_##NAME(const T *x, const T *weight, const T *grad, T *out, count_t width,       \
                                              float eps, int centred) {                                                \
    norm_back(x, weight, grad, out, width, eps, centred);                                                              \
  }                                                                                                                    \
  extern "C" __global__ void leave_out_##NAME(const T *x, T *out, count_t n, uint64_t seed, uint64_t limit,            \
                                              float kept) {                                                            \
    leave_out(x, out, n, seed, limit, kept);                                                                           \
  }

FOR_TYPE(float, f32)
FOR_TYPE(__half, f16)
FOR_TYPE(__nv_bfloat16, bf16)

// A step of AdamW on weights, gradients and both moments in single precision.
extern "C" __global__ void adamw_f32(float *weights, const float *gradient, float *means, float *squares, count_t n,
                                     float shrink, float rate, float correction, float keep, float beta1, float beta2,
                                     float eps) {
  EACH(i, n) {
    float g = gradient[i] * shrink;
    float mean = beta1 * means[i] + (1 - beta1) * g;
    float square = beta2 * squares[i] + (1 - beta2) * g * g;
    means[i] = mean;
    squares[i] = square;
    weights[i] = weights[i] * keep - rate * (mean / (sqrtf(square) / correction + eps));
  }
}

// Sums of squares, one a block.
extern "C" __global__ void squares_f32(const float *x, double *out, count_t n) {
  __shared__ double parts[THREADS];
  double sum = 0;
  EACH(i, n) sum += (double)x[i] * x[i];
  parts[threadIdx.x] = sum;
  for (int step = THREADS / 2; step > 0; step /= 2) {
    __syncthreads();
    if (threadIdx.x < step) parts[threadIdx.x] += parts[threadIdx.x + step];
  }
  if (threadIdx.x == 0) out[blockIdx.x] = parts[0];
}
