//! seccomp: calls that an agent has no use for are refused with `EPERM`, on all threads.
//!
//! A list of what is refused, not of what is allowed. An allowlist is tighter on paper, and it is a list of what one
//! libc, allocator and runtime call today: another version of any of them, or a path that runs once a year, then fails
//! at night in a way that no test saw. What is refused here is refused because its effect is unwanted whoever calls it,
//! and an error is an answer that every caller knows, where a kill would be an outage.
//!
//! Arguments behind pointers can't be looked at: what `openat2` opens is left to Landlock, and `clone3` is told to be
//! missing, whereupon libc makes threads by `clone`, whose flags can be read.

use std::collections::BTreeMap;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    apply_filter_all_threads,
};

/// What goes wrong when a filter is made: words for the status.
type Wrong = String;

/// No sockets of any kind: the listener is bound, and connections come by `accept4`. With them UDP and Unix sockets
/// are gone, which Landlock does not refuse.
const SOCKETS: &[i64] = &[
    libc::SYS_socket,
    libc::SYS_socketpair,
    libc::SYS_connect,
    libc::SYS_bind,
    libc::SYS_listen,
];

/// No programs, and no hands on other processes.
const PROCESSES: &[i64] = &[
    libc::SYS_execve,
    libc::SYS_execveat,
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_process_madvise,
    libc::SYS_kcmp,
    libc::SYS_kill,
    libc::SYS_tkill,
    libc::SYS_rt_sigqueueinfo,
    libc::SYS_rt_tgsigqueueinfo,
    libc::SYS_pidfd_open,
    libc::SYS_pidfd_getfd,
    libc::SYS_pidfd_send_signal,
    libc::SYS_setuid,
    libc::SYS_setgid,
    libc::SYS_setreuid,
    libc::SYS_setregid,
    libc::SYS_setresuid,
    libc::SYS_setresgid,
    libc::SYS_setgroups,
    libc::SYS_setfsuid,
    libc::SYS_setfsgid,
    libc::SYS_capset,
    libc::SYS_personality,
];

/// No change of what the machine or its folders look like.
const MACHINE: &[i64] = &[
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_unshare,
    libc::SYS_setns,
    libc::SYS_open_tree,
    libc::SYS_move_mount,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_kexec_load,
    libc::SYS_reboot,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_quotactl,
    libc::SYS_acct,
    libc::SYS_syslog,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_clock_adjtime,
    libc::SYS_adjtimex,
    libc::SYS_vhangup,
];

/// Doors into the kernel that have let people through, and ways around this filter (`io_uring`) or around paths
/// (handles, which `CAP_DAC_READ_SEARCH` would open).
const DOORS: &[i64] = &[
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_keyctl,
    libc::SYS_open_by_handle_at,
    libc::SYS_name_to_handle_at,
    libc::SYS_fanotify_init,
    libc::SYS_memfd_create,
    libc::SYS_shmget,
    libc::SYS_shmat,
];

/// No change of any file, attributes included, which Landlock does not refuse.
const FILES: &[i64] = &[
    libc::SYS_mkdirat,
    libc::SYS_mknodat,
    libc::SYS_linkat,
    libc::SYS_symlinkat,
    libc::SYS_unlinkat,
    libc::SYS_renameat,
    libc::SYS_renameat2,
    libc::SYS_truncate,
    libc::SYS_ftruncate,
    libc::SYS_fallocate,
    libc::SYS_fchmod,
    libc::SYS_fchmodat,
    libc::SYS_fchown,
    libc::SYS_fchownat,
    libc::SYS_utimensat,
    libc::SYS_setxattr,
    libc::SYS_lsetxattr,
    libc::SYS_fsetxattr,
    libc::SYS_removexattr,
    libc::SYS_lremovexattr,
    libc::SYS_fremovexattr,
];

/// The same under names that only old architectures have.
#[cfg(target_arch = "x86_64")]
const OLD_NAMES: &[i64] = &[
    libc::SYS_fork,
    libc::SYS_vfork,
    libc::SYS_creat,
    libc::SYS_mkdir,
    libc::SYS_rmdir,
    libc::SYS_mknod,
    libc::SYS_link,
    libc::SYS_symlink,
    libc::SYS_unlink,
    libc::SYS_rename,
    libc::SYS_chmod,
    libc::SYS_chown,
    libc::SYS_lchown,
    libc::SYS_utime,
    libc::SYS_utimes,
    libc::SYS_futimesat,
    libc::SYS_iopl,
    libc::SYS_ioperm,
    libc::SYS_modify_ldt,
    libc::SYS_kexec_file_load,
];
#[cfg(not(target_arch = "x86_64"))]
const OLD_NAMES: &[i64] = &[];

/// System calls from this number on are those of x32, another way to call the same kernel.
#[cfg(target_arch = "x86_64")]
const X32_CALLS: u32 = 0x4000_0000;

/// Filters this process, all its threads and all to come.
pub(super) fn restrict() -> Result<(), Wrong> {
    for program in [no_clone3()?, no_x32(), refusals()?] {
        if !program.is_empty() {
            apply_filter_all_threads(&program).map_err(|error| error.to_string())?;
        }
    }
    Ok(())
}

fn compiled(rules: BTreeMap<i64, Vec<SeccompRule>>, errno: i32) -> Result<BpfProgram, Wrong> {
    let architecture = std::env::consts::ARCH;
    let architecture = architecture
        .try_into()
        .map_err(|_| format!("nothing is known of calls on {architecture}"))?;
    let action = SeccompAction::Errno(errno.unsigned_abs());
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, action, architecture);
    let program = filter.and_then(BpfProgram::try_from);
    program.map_err(|error| error.to_string())
}

/// "Not in this kernel", which libc knows how to live with: its flags lie behind a pointer.
fn no_clone3() -> Result<BpfProgram, Wrong> {
    compiled(BTreeMap::from([(libc::SYS_clone3, Vec::new())]), libc::ENOSYS)
}

fn refusals() -> Result<BpfProgram, Wrong> {
    let whole = [SOCKETS, PROCESSES, MACHINE, DOORS, FILES, OLD_NAMES].concat();
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = whole.into_iter().map(|call| (call, Vec::new())).collect();
    rules.insert(libc::SYS_clone, vec![rule(&[without(0, libc::CLONE_THREAD)?])?]);
    let mut opens = vec![(libc::SYS_openat, 2)];
    #[cfg(target_arch = "x86_64")]
    opens.push((libc::SYS_open, 1));
    for (call, flags) in opens {
        rules.insert(call, writing(flags)?);
    }
    // Memory that can be written first and run later is how foreign code comes in.
    for call in [libc::SYS_mmap, libc::SYS_mprotect, libc::SYS_pkey_mprotect] {
        rules.insert(call, vec![rule(&[with(2, libc::PROT_EXEC)?])?]);
    }
    // A program may end itself by a signal, as `abort` does, and nobody else.
    let own = rustix::process::getpid().as_raw_nonzero().get();
    let other = condition(0, SeccompCmpOp::Ne, own.unsigned_abs().into())?;
    rules.insert(libc::SYS_tgkill, vec![rule(&[other])?]);
    // Typing into the terminal that it was started from.
    let typing = [libc::TIOCSTI, libc::TIOCLINUX].map(|asked| {
        let asked = condition(1, SeccompCmpOp::Eq, asked)?;
        rule(&[asked])
    });
    rules.insert(libc::SYS_ioctl, typing.into_iter().collect::<Result<_, _>>()?);
    compiled(rules, libc::EPERM)
}

/// Opening to write, or to make what is not there.
fn writing(flags: u8) -> Result<Vec<SeccompRule>, Wrong> {
    [libc::O_WRONLY, libc::O_RDWR, libc::O_CREAT, libc::O_TRUNC]
        .into_iter()
        .map(|flag| rule(&[with(flags, flag)?]))
        .collect()
}

/// All bits of `bits` are set in the argument.
fn with(argument: u8, bits: i32) -> Result<SeccompCondition, Wrong> {
    let bits = u64::from(bits.unsigned_abs());
    condition(argument, SeccompCmpOp::MaskedEq(bits), bits)
}

/// No bit of `bits` is set in the argument.
fn without(argument: u8, bits: i32) -> Result<SeccompCondition, Wrong> {
    condition(argument, SeccompCmpOp::MaskedEq(bits.unsigned_abs().into()), 0)
}

fn condition(argument: u8, operator: SeccompCmpOp, value: u64) -> Result<SeccompCondition, Wrong> {
    SeccompCondition::new(argument, SeccompCmpArgLen::Dword, operator, value).map_err(|error| error.to_string())
}

fn rule(conditions: &[SeccompCondition]) -> Result<SeccompRule, Wrong> {
    SeccompRule::new(conditions.to_vec()).map_err(|error| error.to_string())
}

/// The calls of x32 have numbers of their own, which the list above does not know: none of them is there.
#[cfg(target_arch = "x86_64")]
fn no_x32() -> BpfProgram {
    let instruction = |code: u32, jt, jf, k| seccompiler::sock_filter {
        code: u16::try_from(code).unwrap_or_default(),
        jt,
        jf,
        k,
    };
    vec![
        // The number of the call stands first in what a filter looks at.
        instruction(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, 0),
        instruction(libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K, 0, 1, X32_CALLS),
        instruction(
            libc::BPF_RET | libc::BPF_K,
            0,
            0,
            libc::SECCOMP_RET_ERRNO | libc::ENOSYS.unsigned_abs(),
        ),
        instruction(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ALLOW),
    ]
}
#[cfg(not(target_arch = "x86_64"))]
fn no_x32() -> BpfProgram {
    BpfProgram::new()
}
