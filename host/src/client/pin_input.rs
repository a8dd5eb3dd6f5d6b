//! PINs from a file descriptor that the caller has opened: `--pin-fd`.

use std::{
    fs::File,
    io::{self, IsTerminal},
    os::fd::{AsFd, OwnedFd},
};

use zeroize::Zeroizing;

use super::{
    failure::{Failure, Kind},
    terminal::{self, AtEnd, Interrupt},
};

/// A file descriptor with PINs, one a line. A line is read when a PIN is asked for, and nothing behind it.
pub struct PinInput {
    fd: u32,
    file: File,
}

impl PinInput {
    /// Takes this descriptor.
    ///
    /// # Errors
    /// It is not open, or a terminal, which would show the PIN.
    pub fn new(fd: u32) -> Result<Self, Failure> {
        let file = File::from(duplicate(fd).map_err(|error| unreadable(fd, &error))?);
        if file.is_terminal() {
            let message = format!("--pin-fd {fd} shows the PIN on the terminal: leave it out to be asked");
            return Err(Failure::new(Kind::BadInput, message));
        }
        Ok(Self { fd, file })
    }

    /// The next PIN. `None` if the user has pressed Ctrl-C.
    ///
    /// # Errors
    /// There is none.
    pub fn next(&mut self, interrupt: &Interrupt) -> Result<Option<Zeroizing<String>>, Failure> {
        match terminal::line(&mut self.file, AtEnd::Line, interrupt) {
            Ok(None) if !interrupt.has_come() => Err(Failure::new(
                Kind::NotVerified,
                format_args!("a PIN is needed, and file descriptor {} has no line for it", self.fd),
            )),
            line => line.map_err(|error| unreadable(self.fd, &error)),
        }
    }
}

fn unreadable(fd: u32, error: &io::Error) -> Failure {
    Failure::new(Kind::BadInput, format_args!("the PIN cannot be read from file descriptor {fd}: {error}"))
}

/// Another descriptor of the same open file, with its position.
fn duplicate(fd: u32) -> io::Result<OwnedFd> {
    if fd == 0 {
        return io::stdin().as_fd().try_clone_to_owned();
    }
    #[cfg(target_os = "linux")]
    {
        use rustix::io::Errno;
        match linux::duplicate(fd) {
            // A system before Linux 5.6, or a container that forbids the call.
            Err(Errno::NOSYS | Errno::PERM | Errno::ACCESS) => {}
            duplicate => return Ok(duplicate?),
        }
    }
    let file = File::open(format!("/dev/fd/{fd}"))?;
    #[cfg(target_os = "linux")]
    linux::refuse_all_but_pipes(&file)?;
    Ok(file.into())
}

#[cfg(target_os = "linux")]
mod linux {
    use std::{
        fs::File,
        io,
        os::{
            fd::{AsRawFd, OwnedFd},
            unix::fs::FileTypeExt,
        },
    };

    use rustix::{
        io::Errno,
        process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open},
    };

    /// As dup does, which is not safe for a mere number.
    pub fn duplicate(fd: u32) -> Result<OwnedFd, Errno> {
        let fd = i32::try_from(fd).map_err(|_| Errno::BADF)?;
        let own = pidfd_open(getpid(), PidfdFlags::empty())?;
        // The number was free until now.
        if own.as_raw_fd() == fd {
            return Err(Errno::BADF);
        }
        pidfd_getfd(&own, fd, PidfdGetfdFlags::empty())
    }

    /// Linux opens a file of /dev/fd anew, at its start; a pipe is the same one.
    pub fn refuse_all_but_pipes(file: &File) -> io::Result<()> {
        if file.metadata()?.file_type().is_fifo() {
            return Ok(());
        }
        Err(io::Error::other("here it has to be a pipe, or descriptor 0"))
    }
    #[cfg(test)]
    mod tests {
        use std::{fs::File, io::pipe, os::fd::OwnedFd};

        use super::refuse_all_but_pipes;

        #[test]
        fn where_a_descriptor_is_opened_anew_a_pipe_is_taken_and_a_file_is_refused() {
            let (reader, _writer) = pipe().unwrap();
            refuse_all_but_pipes(&File::from(OwnedFd::from(reader))).unwrap();
            assert!(refuse_all_but_pipes(&File::open("/dev/null").unwrap()).is_err());
            assert!(refuse_all_but_pipes(&File::open("/proc/self/stat").unwrap()).is_err());
        }
    }
}
