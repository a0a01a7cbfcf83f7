//! The image of the container that holds a task's network: one static program that waits for SIGTERM.
//!
//! No image can be pulled on a machine without a network, so the program is put together here. It blocks SIGINT and
//! SIGTERM and waits for one of them: the first process of a container only ever sees signals that it asked for.

use std::io;

/// The name of the program in the image.
pub const PROGRAM: &str = "/pause";

/// The processors that the program exists for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Processor {
    /// x86-64.
    Amd64,
    /// AArch64.
    Arm64,
}

impl Processor {
    /// Reads the Engine's name for its processor (`/version`).
    pub fn parse(engine: &str) -> Option<Self> {
        match engine {
            "amd64" | "x86_64" => Some(Self::Amd64),
            "arm64" | "aarch64" => Some(Self::Arm64),
            _ => None,
        }
    }

    /// `e_machine` of the ELF header.
    fn machine(self) -> u16 {
        match self {
            Self::Amd64 => 62,
            Self::Arm64 => 183,
        }
    }

    fn code(self) -> Vec<u8> {
        match self {
            Self::Amd64 => amd64(),
            Self::Arm64 => arm64(),
        }
    }
}

/// Where the file is mapped.
const BASE: u32 = 0x40_0000;
/// The ELF header and one program header; the code follows.
const HEADERS: u32 = 64 + 56;
/// The signal set that is waited for: bit 1 is SIGINT, bit 14 is SIGTERM.
const SIGNALS: u64 = 1 << (2 - 1) | 1 << (15 - 1);

/// The root file system of the image, as a tar.
///
/// # Errors
/// None in practice: the archive is written to memory.
pub fn root_file_system(processor: Processor) -> io::Result<Vec<u8>> {
    let program = elf(processor);
    let mut header = tar::Header::new_ustar();
    header.set_size(program.len() as u64);
    header.set_mode(0o755);
    let mut archive = tar::Builder::new(Vec::new());
    archive.append_data(&mut header, PROGRAM.trim_start_matches('/'), program.as_slice())?;
    archive.into_inner()
}

/// A static ELF file with one segment that is read and executed.
fn elf(processor: Processor) -> Vec<u8> {
    let code = processor.code();
    let size = u64::from(HEADERS) + code.len() as u64;
    let mut file = Vec::new();
    // e_ident: 64 bit, little endian, version 1, System V.
    file.extend(b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0");
    file.extend(2_u16.to_le_bytes()); // e_type: ET_EXEC
    file.extend(processor.machine().to_le_bytes());
    file.extend(1_u32.to_le_bytes()); // e_version
    file.extend(u64::from(BASE + HEADERS).to_le_bytes()); // e_entry
    file.extend(64_u64.to_le_bytes()); // e_phoff
    file.extend(0_u64.to_le_bytes()); // e_shoff
    file.extend(0_u32.to_le_bytes()); // e_flags
    // e_ehsize, e_phentsize, e_phnum, e_shentsize, e_shnum, e_shstrndx
    for half in [64_u16, 56, 1, 0, 0, 0] {
        file.extend(half.to_le_bytes());
    }
    file.extend(1_u32.to_le_bytes()); // p_type: PT_LOAD
    file.extend(5_u32.to_le_bytes()); // p_flags: read, execute
    // p_offset, p_vaddr, p_paddr, p_filesz, p_memsz, p_align
    for word in [0, u64::from(BASE), u64::from(BASE), size, size, 0x1_0000] {
        file.extend(word.to_le_bytes());
    }
    file.extend(code);
    file
}

/// rt_sigprocmask (14), rt_sigtimedwait (128) until it gives a signal, exit (60).
fn amd64() -> Vec<u8> {
    const CODE: u32 = 51;
    let set = (BASE + HEADERS + CODE).to_le_bytes();
    let mut code = Vec::new();
    code.extend(b"\xb8\x0e\0\0\0"); //           mov eax, 14
    code.extend(b"\x31\xff"); //                 xor edi, edi       SIG_BLOCK
    code.push(0xbe); //                          mov esi, set
    code.extend(set);
    code.extend(b"\x31\xd2"); //                 xor edx, edx
    code.extend(b"\x41\xba\x08\0\0\0"); //       mov r10d, 8
    code.extend(b"\x0f\x05"); //                 syscall
    code.extend(b"\xb8\x80\0\0\0"); // wait:     mov eax, 128
    code.push(0xbf); //                          mov edi, set
    code.extend(set);
    code.extend(b"\x31\xf6"); //                 xor esi, esi
    code.extend(b"\x31\xd2"); //                 xor edx, edx       no time limit
    code.extend(b"\x0f\x05"); //                 syscall            r10 is kept
    code.extend(b"\x85\xc0"); //                 test eax, eax
    code.extend(b"\x78\xec"); //                 js wait
    code.extend(b"\xb8\x3c\0\0\0"); //           mov eax, 60
    code.extend(b"\x31\xff"); //                 xor edi, edi
    code.extend(b"\x0f\x05"); //                 syscall
    code.extend(SIGNALS.to_le_bytes()); // set
    code
}

/// rt_sigprocmask (135), rt_sigtimedwait (137) until it gives a signal, exit (93).
fn arm64() -> Vec<u8> {
    const SVC: u32 = 0xd400_0001;
    const WAIT: u32 = 6;
    const SET: u32 = 16;
    /// movz x`register`, #`value`
    fn mov(register: u32, value: u32) -> u32 {
        0xd280_0000 | value << 5 | register
    }
    /// adr x`register`, set; the instruction is the one at `index`.
    fn adr(register: u32, index: u32) -> u32 {
        0x1000_0000 | (SET - index) << 5 | register
    }
    let back = (WAIT.wrapping_sub(12)) & 0x3fff;
    let words = [
        mov(0, 0), // SIG_BLOCK
        adr(1, 1),
        mov(2, 0),
        mov(3, 8),
        mov(8, 135),
        SVC,
        adr(0, 6), // wait:
        mov(1, 0),
        mov(2, 0), // no time limit
        mov(3, 8),
        mov(8, 137),
        SVC,
        0x37f8_0000 | back << 5, // tbnz w0, #31, wait
        mov(0, 0),
        mov(8, 93),
        SVC,
    ];
    let mut code: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    code.extend(SIGNALS.to_le_bytes());
    code
}

#[cfg(test)]
mod tests {
    use super::{HEADERS, PROGRAM, Processor, SIGNALS, elf, root_file_system};
    use std::io::Read;

    #[test]
    fn the_signal_set_ends_the_file_where_the_code_expects_it() {
        for (processor, at) in [(Processor::Amd64, 51), (Processor::Arm64, 64)] {
            let file = elf(processor);
            let set = HEADERS as usize + at;
            assert_eq!(file[set..], SIGNALS.to_le_bytes(), "{processor:?}");
        }
    }

    #[test]
    fn branches_go_back_to_the_wait() {
        let amd64 = &elf(Processor::Amd64)[HEADERS as usize..];
        let jump = amd64.windows(2).position(|pair| pair == [0x78, 0xec]).unwrap() + 2;
        let wait = jump
            .checked_add_signed(isize::from(0xec_u8.cast_signed()))
            .unwrap();
        assert_eq!(amd64[wait..wait + 5], *b"\xb8\x80\0\0\0");
        let arm64 = &elf(Processor::Arm64)[HEADERS as usize..];
        // tbnz w0, #31, six instructions back.
        assert_eq!(arm64[48..52], 0x37ff_ff40_u32.to_le_bytes());
    }

    #[test]
    fn the_root_file_system_holds_the_program_alone() {
        let tar = root_file_system(Processor::Amd64).unwrap();
        let mut archive = tar::Archive::new(tar.as_slice());
        let mut entries = archive.entries().unwrap();
        let mut entry = entries.next().unwrap().unwrap();
        assert_eq!(entry.path().unwrap().to_str(), Some(&PROGRAM[1..]));
        assert_eq!(entry.header().mode().unwrap(), 0o755);
        let mut program = Vec::new();
        entry.read_to_end(&mut program).unwrap();
        assert_eq!(program, elf(Processor::Amd64));
        assert!(entries.next().is_none());
    }
}
