//! Numbers that stand in a zip, for writing one.

/// See APPNOTE.
pub const LOCAL: u32 = 0x0403_4b50;
/// See APPNOTE.
pub const CENTRAL: u32 = 0x0201_4b50;
/// See APPNOTE.
pub const DESCRIPTOR: u32 = 0x0807_4b50;
/// See APPNOTE.
pub const END: u32 = 0x0605_4b50;
/// See APPNOTE.
pub const END64: u32 = 0x0606_4b50;
/// See APPNOTE.
pub const LOCATOR: u32 = 0x0706_4b50;
/// See APPNOTE.
pub const SATURATED_16: u16 = u16::MAX;
/// See APPNOTE.
pub const SATURATED_32: u32 = u32::MAX;
/// See APPNOTE.
pub const ZIP64_EXTRA: u16 = 0x0001;
/// See APPNOTE.
pub const DESCRIBED: u16 = 1 << 3;
/// See APPNOTE.
pub const UTF8: u16 = 1 << 11;
/// See APPNOTE.
pub const STORED: u16 = 0;
/// See APPNOTE.
pub const DEFLATED: u16 = 8;
