//! Owns asking the processor which hypervisor runs it. Never names one.

/// The signature that a hypervisor shows to its guests; all zeros where it shows none, `None` where no hypervisor says that
/// it is there.
#[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
pub fn hypervisor() -> Option<[u8; 12]> {
    #[cfg(target_arch = "x86")]
    use std::arch::x86::__cpuid;
    #[cfg(target_arch = "x86_64")]
    use std::arch::x86_64::__cpuid;

    /// "A hypervisor is there", in the third register.
    const PRESENT: u32 = 1 << 31;
    #[allow(unused_unsafe)] // newer compilers know that it is safe
    // SAFETY: every processor that this runs on has the instruction, and it touches no memory.
    let basic = unsafe { __cpuid(1) };
    if basic.ecx & PRESENT == 0 {
        return None;
    }
    #[allow(unused_unsafe)] // as above
    // SAFETY: a hypervisor says that it is there, so it answers to this number.
    let answer = unsafe { __cpuid(0x4000_0000) };
    let mut signature = [0; 12];
    let words = [answer.ebx, answer.ecx, answer.edx];
    for (to, from) in signature.iter_mut().zip(words.into_iter().flat_map(u32::to_le_bytes)) {
        *to = from;
    }
    Some(signature)
}

/// Other processors are not asked.
#[cfg(not(any(target_arch = "x86", target_arch = "x86_64")))]
pub fn hypervisor() -> Option<[u8; 12]> {
    None
}
