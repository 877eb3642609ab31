//! The command line: one module per command, each with its `Args` and an `execute` that gives the exit
//! code. Exit codes: 0 done, 1 no, 64 usage or config, 70 bug.

pub mod check;
pub mod events;
pub mod plugin;
pub mod receive;
pub mod run;
pub mod send;
pub mod verify;
