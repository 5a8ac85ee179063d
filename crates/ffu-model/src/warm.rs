//! How much memory warm hop environments may take.

/// Bytes that `ffu run` and all its warm processes take together by default: of memory that lies in no file, shared pages counted once.
pub const WARM_MEMORY: u64 = 2 << 30;

/// Bytes of it that are kept free for what runs: the pages that commands write to, or plain processes in their stead.
pub const WARM_MEMORY_FOR_COMMANDS: u64 = 256 << 20;
