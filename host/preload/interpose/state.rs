//! What the library knows for as long as the process lives, and the functions that it stands before.

use core::{
    cell::UnsafeCell,
    ffi::CStr,
    mem::MaybeUninit,
    ptr,
    sync::atomic::{AtomicPtr, AtomicU8, Ordering},
};

use crate::{
    abi::{self, c_char, c_int, c_void},
    paths::Run,
};

/// The next definition of a function after this library's: that of the C library, or of another preloaded library.
pub struct Next {
    name: &'static CStr,
    found: AtomicPtr<c_void>,
}

impl Next {
    pub const fn new(name: &'static CStr) -> Self {
        Self { name, found: AtomicPtr::new(ptr::null_mut()) }
    }

    /// The function's address, or null if nothing else defines it. Looked up once, when the library is loaded, because
    /// `dlsym` is not for signal handlers.
    pub fn find(&self) -> *mut c_void {
        let found = self.found.load(Ordering::Relaxed);
        if !found.is_null() {
            return found;
        }
        // SAFETY: the name is a C string.
        let found = unsafe { abi::dlsym(abi::NEXT, self.name.as_ptr()) };
        self.found.store(found, Ordering::Relaxed);
        found
    }
}

/// Defines functions of the C library. Each of them passes the next definition of its name, and its arguments, to the
/// body that they share.
macro_rules! interpose {
    (: $($signature:tt)*) => {};
    ($name:ident $($other:ident)*:
        fn($($argument:ident: $type:ty),*) -> $result:ty, or $failure:expr => $body:path
    ) => {
        // SAFETY: the name and the signature are those of the C library's function.
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $name($($argument: $type),*) -> $result {
            static NEXT: $crate::state::Next = $crate::state::Next::new(
                match core::ffi::CStr::from_bytes_with_nul(concat!(stringify!($name), "\0").as_bytes()) {
                    Ok(name) => name,
                    Err(_) => c"",
                },
            );
            extern "C" fn look_up() {
                NEXT.find();
            }
            // SAFETY: the loader calls the functions in this section, without arguments that they need.
            #[used]
            #[unsafe(link_section = ".init_array")]
            static LOOK_UP: extern "C" fn() = look_up;
            let next = NEXT.find();
            if next.is_null() {
                $crate::abi::set_errno($crate::abi::ENOSYS);
                return $failure;
            }
            // SAFETY: a function of this name has this signature.
            let next = unsafe {
                core::mem::transmute::<*mut core::ffi::c_void, unsafe extern "C" fn($($type),*) -> $result>(next)
            };
            // SAFETY: the caller keeps the contract of the C library's function, which is that of the body.
            unsafe { $body(next, $($argument),*) }
        }
        $crate::state::interpose!($($other)*: fn($($argument: $type),*) -> $result, or $failure => $body);
    };
}
pub(crate) use interpose;

const UNKNOWN: u8 = 0;
const READING: u8 = 1;
const KNOWN: u8 = 2;
const ABSENT: u8 = 3;

struct State {
    stage: AtomicU8,
    run: UnsafeCell<MaybeUninit<Run>>,
}

// SAFETY: `run` is written by the one thread that turns UNKNOWN into READING, and read only after KNOWN.
unsafe impl Sync for State {}

static STATE: State = State { stage: AtomicU8::new(UNKNOWN), run: UnsafeCell::new(MaybeUninit::uninit()) };

/// The run that this process belongs to. `None` if it belongs to none: then the library changes nothing.
pub fn run() -> Option<&'static Run> {
    match STATE.stage.load(Ordering::Acquire) {
        // SAFETY: it was written before KNOWN was stored, and nothing writes it after.
        KNOWN => Some(unsafe { (*STATE.run.get()).assume_init_ref() }),
        UNKNOWN => read_environment(),
        _ => None,
    }
}

/// The environment counts as it is at the start: a program that changes it does not lose its key.
#[cold]
fn read_environment() -> Option<&'static Run> {
    let stage = &STATE.stage;
    if stage.compare_exchange(UNKNOWN, READING, Ordering::AcqRel, Ordering::Acquire).is_err() {
        return None; // another thread reads it, at the start of the process: it is too early for a key
    }
    // SAFETY: the name is a C string.
    let value = unsafe { abi::getenv(c"KEYFOB_RUN".as_ptr()) };
    // SAFETY: a value that is not null is a C string, and no thread changes the environment yet.
    let value = (!value.is_null()).then(|| unsafe { CStr::from_ptr(value) }.to_bytes());
    let Some(run) = value.and_then(Run::parse) else {
        stage.store(ABSENT, Ordering::Release);
        return None;
    };
    // SAFETY: only the thread that stored READING writes.
    let run = unsafe { (*STATE.run.get()).write(run) };
    stage.store(KNOWN, Ordering::Release);
    Some(run)
}

/// A C string as bytes; nothing for null.
///
/// # Safety
/// The pointer is null or a C string that lives as long as the result is used.
pub unsafe fn text<'t>(text: *const c_char) -> &'t [u8] {
    // SAFETY: as the caller promises.
    if text.is_null() { &[] } else { unsafe { CStr::from_ptr(text) }.to_bytes() }
}

/// Fails as functions of the C library do.
pub fn fail(error: c_int) -> c_int {
    abi::set_errno(error);
    -1
}
