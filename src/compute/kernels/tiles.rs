//! Matrix tiles of recent Intel CPUs (AMX): products of 16-bit floats, summed in single precision.
//!
//! Ten times the arithmetic of vector instructions. Intrinsics are not stable yet, hence the assembly; Linux wants to
//! be asked before a process may touch tiles, so elsewhere they are never used.

use std::sync::OnceLock;

/// Rows of a tile, and its columns in single precision.
pub(super) const TILE: usize = 16;

/// 16-bit values that one step of a product sums over.
pub(super) const DEPTH: usize = 32;

/// Whether this CPU has the tiles and this process may use them.
pub(super) fn available() -> bool {
    static ANSWER: OnceLock<bool> = OnceLock::new();
    *ANSWER.get_or_init(granted)
}

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
fn granted() -> bool {
    const AMX_BF16: u32 = 1 << 22;
    const AMX_TILE: u32 = 1 << 24;
    let features = std::arch::x86_64::__cpuid_count(7, 0).edx;
    features & AMX_BF16 != 0 && features & AMX_TILE != 0 && amx::ask_permission()
}

#[cfg(not(all(target_arch = "x86_64", target_os = "linux")))]
const fn granted() -> bool {
    false
}

/// Rounds to 16-bit floats (bfloat16), to the nearest and halves to even.
pub(super) fn to_half(value: f32) -> u16 {
    let bits = value.to_bits();
    (bits.wrapping_add(0x7FFF + ((bits >> 16) & 1)) >> 16) as u16
}

/// One product of 32 by 32 results: a sum over steps of 32 values each.
#[derive(Debug, Clone, Copy)]
pub(super) struct Job<'a> {
    /// Left operand, and where its two groups of 16 rows begin; rows are `left_apart` values from each other.
    pub left: &'a [u16],
    /// Begin of the first and of the second group.
    pub left_at: [usize; 2],
    /// From row to row.
    pub left_apart: usize,
    /// Right operand: rows of 16 columns with two values each, `right_apart` values from each other.
    pub right: &'a [u16],
    /// Begin of the first and of the second group of 16 columns.
    pub right_at: [usize; 2],
    /// From row to row.
    pub right_apart: usize,
    /// Per step, how far both operands move on from their begin.
    pub steps: &'a [[usize; 2]],
    /// Where the two groups of 16 result rows begin; the second group of columns follows the first.
    pub out_at: [usize; 2],
    /// From result row to result row.
    pub out_apart: usize,
}

impl Job<'_> {
    fn check(&self, out: &[f32]) {
        let most = |side: usize| self.steps.iter().map(|step| step[side]).max().unwrap_or(0);
        let far = |at: [usize; 2], apart: usize, wide: usize| at[0].max(at[1]) + 15 * apart + wide;
        assert!(
            far(self.left_at, self.left_apart, 32) + most(0) <= self.left.len()
                && far(self.right_at, self.right_apart, 32) + most(1) <= self.right.len()
                && far(self.out_at, self.out_apart, 32) <= out.len(),
            "a tile reaches beyond its slice"
        );
    }
}

/// Does products while it lives; whatever the thread had laid out for its tiles before is put back at the end.
pub(super) struct Tiles {
    #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
    layout: amx::Layout,
}

impl Tiles {
    /// Lays out this thread's tiles.
    ///
    /// # Panics
    /// Where there are none, see [`available`].
    pub(super) fn lay_out() -> Self {
        assert!(available(), "this CPU has no tiles");
        Self {
            #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
            layout: amx::Layout::of_halves(),
        }
    }

    /// Writes the products into `out`.
    ///
    /// # Panics
    /// Where an operand is shorter than the job says.
    pub(super) fn run(&self, job: &Job<'_>, out: &mut [f32]) {
        job.check(out);
        #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
        self.layout.run(job, out);
        #[cfg(not(all(target_arch = "x86_64", target_os = "linux")))]
        unreachable!("nobody lays out tiles that are not there");
    }
}

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
#[expect(unsafe_code, reason = "tile instructions have no stable intrinsics")]
mod amx {
    use std::arch::asm;

    use super::Job;

    pub(super) fn ask_permission() -> bool {
        const ARCH_PRCTL: i64 = 158;
        const REQUEST: u64 = 0x1023;
        const TILE_DATA: u64 = 18;
        let answer: i64;
        // SAFETY: the system call takes two numbers and touches no memory of ours.
        unsafe {
            asm!("syscall", inlateout("rax") ARCH_PRCTL => answer, in("rdi") REQUEST, in("rsi") TILE_DATA,
                out("rcx") _, out("r11") _, options(nostack));
        }
        answer == 0
    }

    #[repr(C, align(64))]
    #[derive(Clone, Copy)]
    struct Shape([u8; 64]);

    /// Puts the former layout back when dropped.
    pub(super) struct Layout(Shape);

    impl Layout {
        /// Eight tiles of 16 rows of 64 bytes.
        pub(super) fn of_halves() -> Self {
            let mut shape = Shape([0; 64]);
            shape.0[0] = 1;
            for tile in 0..8 {
                shape.0[16 + 2 * tile] = 64;
                shape.0[48 + tile] = 16;
            }
            let mut former = Shape([0; 64]);
            // SAFETY: both point at 64 bytes of ours; the CPU has tiles and the process may use them.
            unsafe {
                asm!("sttilecfg [{}]", in(reg) &raw mut former, options(nostack));
                asm!("ldtilecfg [{}]", in(reg) &raw const shape, options(nostack));
            }
            Self(former)
        }
    }

    impl Layout {
        /// Writes the products of a job that has been checked.
        #[expect(clippy::unused_self, reason = "products need a layout that lives")]
        pub(super) fn run(&self, job: &Job<'_>, out: &mut [f32]) {
            let left = job.left_at.map(|at| job.left[at..].as_ptr());
            let right = job.right_at.map(|at| job.right[at..].as_ptr());
            let [first, second] = job.out_at;
            let out = out.as_mut_ptr();
            // SAFETY: `Job::check` has held every address that is read or written against the slices' lengths. The tiles are
            // laid out, as only `Tiles` calls this; nothing else of the program keeps values in them.
            unsafe {
                let out = [out.add(first), out.add(second)];
                asm!(
                    "tilezero tmm0",
                    "tilezero tmm1",
                    "tilezero tmm2",
                    "tilezero tmm3",
                    options(nostack, nomem)
                );
                multiply(
                    (left, job.left_apart * 2),
                    (right, job.right_apart * 2),
                    job.steps,
                );
                store(out, job.out_apart * 4);
            }
        }
    }

    impl Drop for Layout {
        fn drop(&mut self) {
            // SAFETY: what the CPU itself wrote; all zeros mean no layout.
            unsafe { asm!("ldtilecfg [{}]", in(reg) &raw const self.0, options(nostack)) }
        }
    }

    /// Safety: `out` has room for two groups of 16 rows, `apart` bytes from each other.
    unsafe fn store(out: [*mut f32; 2], apart: usize) {
        // SAFETY: the caller's word.
        unsafe {
            asm!(
                "tilestored [{c0} + {s}*1], tmm0",
                "tilestored [{c0} + {s}*1 + 64], tmm1",
                "tilestored [{c1} + {s}*1], tmm2",
                "tilestored [{c1} + {s}*1 + 64], tmm3",
                c0 = in(reg) out[0], c1 = in(reg) out[1], s = in(reg) apart, options(nostack)
            );
        }
    }

    /// Safety: every step of both operands lies within what they point at; apart in bytes.
    unsafe fn multiply(
        (left, left_apart): ([*const u16; 2], usize),
        (right, right_apart): ([*const u16; 2], usize),
        steps: &[[usize; 2]],
    ) {
        if steps.is_empty() {
            return;
        }
        // An address of two-byte values is its begin plus twice the step.
        // SAFETY: the caller's word.
        unsafe {
            asm!(
                "2:",
                "mov {t}, [{steps}]",
                "lea {p}, [{a0} + {t}*2]",
                "tileloadd tmm4, [{p} + {sa}*1]",
                "lea {p}, [{a1} + {t}*2]",
                "tileloadd tmm5, [{p} + {sa}*1]",
                "mov {t}, [{steps} + 8]",
                "lea {p}, [{b0} + {t}*2]",
                "tileloadd tmm6, [{p} + {sb}*1]",
                "lea {p}, [{b1} + {t}*2]",
                "tileloadd tmm7, [{p} + {sb}*1]",
                "tdpbf16ps tmm0, tmm4, tmm6",
                "tdpbf16ps tmm1, tmm4, tmm7",
                "tdpbf16ps tmm2, tmm5, tmm6",
                "tdpbf16ps tmm3, tmm5, tmm7",
                "add {steps}, 16",
                "dec {count}",
                "jnz 2b",
                a0 = in(reg) left[0], a1 = in(reg) left[1], sa = in(reg) left_apart,
                b0 = in(reg) right[0], b1 = in(reg) right[1], sb = in(reg) right_apart,
                steps = inout(reg) steps.as_ptr() => _, count = inout(reg) steps.len() => _,
                t = out(reg) _, p = out(reg) _, options(nostack, readonly)
            );
        }
    }
}
