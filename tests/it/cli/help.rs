//! What one reads before doing anything.

use crate::sandbox::Sandbox;

use super::told;

fn help(args: &[&str]) -> String {
    told(&Sandbox::new().expect(0, args))
}

/// The part of a command's help that is its own.
fn own(command: &str) -> String {
    let help = help(&[command, "--help"]);
    let (own, common) = help.split_once("Flags of every command:").unwrap();
    assert!(common.contains("--file <PATH>") && common.contains("--color <WHEN>"), "{common}");
    own.trim_end().to_owned()
}

#[test]
fn the_program_says_what_it_does() {
    insta::assert_snapshot!(help(&["--help"]), @"
    Keeps the secrets of a Secretfile in the stores it names, without ever showing one

    Usage: secretzero [OPTIONS] <COMMAND>

    Commands:
      validate     Check the Secretfile; needs no network and no credential
      test         Connect to every provider and show who we are there
      policy       Check the Secretfile against its policies; needs no network and no credential
      sync         Bring every store in line with the Secretfile
      rotate       Make new values for what is due, and store them
      refresh      Rebuild the lock from the marks in the stores; writes to no store
      drift        Show what stands in the stores differently from what SecretZero left there; writes
                   nothing
      dr           Show which store and region holds which generation, and what is behind; heal it with
                   `--heal`
      init         Write a first Secretfile with the names in `.env` files, never their values
      import       Write what exists in a store already as a part of a Secretfile; reads no value
      permissions  Print the least rights that the Secretfile needs in each cloud; needs no network
      trust        Print or check what a cloud must be told to trust the runs of this repository
      doctor       Look for what keeps a run from working: logins, rights, clock, workflows, stores
      schema       Print the JSON Schema of the Secretfile, for editors
      completions  Print the completions of a shell
      ci           Do what the event of a CI job asks for (the entry point of the action)
      demo         Run the main job on an embedded sample: a pull request, then its merge; needs no
                   account
      help         Print this message or the help of the given subcommand(s)

    Options:
      -V, --version  Print version

    Flags of every command:
      -f, --file <PATH>         The Secretfile [default: Secretfile.yml]
          --environment <NAME>  Which of the Secretfile's environments; a file without any takes any
                                name
          --var-file <PATH>     A YAML file of variables that win over those of the Secretfile; may be
                                repeated
          --lockfile <PATH>     Where the lock is kept [default: .gitsecrets.lock beside the Secretfile]
          --format <FORMAT>     How to print the result [default: human] [possible values: human, json]
          --color <WHEN>        When to use colours [default: auto] [possible values: auto, always,
                                never]
      -v, --verbose...          Say more; up to three times. Never a value
      -h, --help                Show this help

    Begin with `secretzero demo`, or write a Secretfile.yml and run `secretzero validate`.
    ");
    assert_eq!(help(&["-h"]), help(&["--help"]));
    assert_eq!(help(&["--version"]), format!("secretzero {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn the_commands_that_check_say_what_they_do() {
    insta::assert_snapshot!(own("validate"), @"
    Check the Secretfile; needs no network and no credential

    Usage: secretzero validate [OPTIONS]

    Options:
          --fail-on-warning  Fail on warnings as well
    ");
    insta::assert_snapshot!(own("policy"), @"
    Check the Secretfile against its policies; needs no network and no credential

    Usage: secretzero policy [OPTIONS]

    Options:
          --fail-on-warning  Fail on warnings as well
    ");
    insta::assert_snapshot!(own("test"), @"
    Connect to every provider and show who we are there

    Usage: secretzero test [OPTIONS]

    Which targets:
          --provider <NAME>     Only targets of this provider, by alias or kind; may be repeated
          --secret <NAME>       Only this secret; may be repeated
          --target-type <KIND>  Only targets of this kind, such as `ssm_parameter`; may be repeated

    How stores are called:
          --rate-limit <MODE>       Pace calls to what the stores allow, or not at all (emulators and
                                    tests) [default: auto] [possible values: auto, off]
          --retry-max-attempts <N>  How often one call is tried [default: 5]
          --retry-backoff <KIND>    How the wait between two tries grows [default: exponential]
                                    [possible values: exponential, constant]
    ");
}

#[test]
fn the_commands_that_write_say_what_they_do() {
    insta::assert_snapshot!(own("sync"), @"
    Bring every store in line with the Secretfile

    Usage: secretzero sync [OPTIONS]

    Options:
          --dry-run            Show what would happen, write nothing and read no value
          --force              Make new values, due or not
          --adopt              Take over existing objects that are not ours, keeping their value
          --overwrite          Replace the value of existing objects that are not ours
          --detailed-exitcode  Exit 2 when changes are pending

    Which targets:
          --provider <NAME>     Only targets of this provider, by alias or kind; may be repeated
          --secret <NAME>       Only this secret; may be repeated
          --target-type <KIND>  Only targets of this kind, such as `ssm_parameter`; may be repeated

    How stores are called:
          --rate-limit <MODE>       Pace calls to what the stores allow, or not at all (emulators and
                                    tests) [default: auto] [possible values: auto, off]
          --retry-max-attempts <N>  How often one call is tried [default: 5]
          --retry-backoff <KIND>    How the wait between two tries grows [default: exponential]
                                    [possible values: exponential, constant]
    ");
    insta::assert_snapshot!(own("rotate"), @"
    Make new values for what is due, and store them

    Usage: secretzero rotate [OPTIONS]

    Options:
          --dry-run            Show what would happen, write nothing and read no value
          --force              Rotate the secrets named by `--secret`, due or not
          --detailed-exitcode  Exit 2 when changes are pending
          --max-rotations <N>  Most rotations in one run [default: all that are due]

    Which targets:
          --provider <NAME>     Only targets of this provider, by alias or kind; may be repeated
          --secret <NAME>       Only this secret; may be repeated
          --target-type <KIND>  Only targets of this kind, such as `ssm_parameter`; may be repeated

    How stores are called:
          --rate-limit <MODE>       Pace calls to what the stores allow, or not at all (emulators and
                                    tests) [default: auto] [possible values: auto, off]
          --retry-max-attempts <N>  How often one call is tried [default: 5]
          --retry-backoff <KIND>    How the wait between two tries grows [default: exponential]
                                    [possible values: exponential, constant]
    ");
}

#[test]
fn the_other_commands_say_what_they_do() {
    insta::assert_snapshot!(own("refresh"), @"
    Rebuild the lock from the marks in the stores; writes to no store

    Usage: secretzero refresh [OPTIONS]

    Which targets:
          --provider <NAME>     Only targets of this provider, by alias or kind; may be repeated
          --secret <NAME>       Only this secret; may be repeated
          --target-type <KIND>  Only targets of this kind, such as `ssm_parameter`; may be repeated

    How stores are called:
          --rate-limit <MODE>       Pace calls to what the stores allow, or not at all (emulators and
                                    tests) [default: auto] [possible values: auto, off]
          --retry-max-attempts <N>  How often one call is tried [default: 5]
          --retry-backoff <KIND>    How the wait between two tries grows [default: exponential]
                                    [possible values: exponential, constant]
    ");
    insta::assert_snapshot!(own("drift"), @"
    Show what stands in the stores differently from what SecretZero left there; writes nothing

    Usage: secretzero drift [OPTIONS]

    Options:
          --detailed-exitcode  Exit 2 when there is drift

    Which targets:
          --provider <NAME>     Only targets of this provider, by alias or kind; may be repeated
          --secret <NAME>       Only this secret; may be repeated
          --target-type <KIND>  Only targets of this kind, such as `ssm_parameter`; may be repeated

    How stores are called:
          --rate-limit <MODE>       Pace calls to what the stores allow, or not at all (emulators and
                                    tests) [default: auto] [possible values: auto, off]
          --retry-max-attempts <N>  How often one call is tried [default: 5]
          --retry-backoff <KIND>    How the wait between two tries grows [default: exponential]
                                    [possible values: exponential, constant]
    ");
    insta::assert_snapshot!(own("ci"), @"
    Do what the event of a CI job asks for (the entry point of the action)

    Usage: secretzero ci [OPTIONS]
    ");
    insta::assert_snapshot!(own("demo"), @"
    Run the main job on an embedded sample: a pull request, then its merge; needs no account

    Usage: secretzero demo [OPTIONS]
    ");
}

/// 2 means that changes are pending, so a slip of the finger must not say it.
#[test]
fn a_mistake_on_the_command_line_exits_1() {
    let told = |args: &[&str]| told(&Sandbox::new().expect(1, args));
    insta::assert_snapshot!(told(&["sync", "--forse"]), @"
    --- stderr
    error: unexpected argument '--forse' found

      tip: a similar argument exists: '--force'

    Usage: secretzero sync --force

    For more information, try '--help'.
    ");
    insta::assert_snapshot!(told(&["rotate", "--force"]), @"
    --- stderr
    error: the following required arguments were not provided:
      --secret <NAME>

    Usage: secretzero rotate --secret <NAME> --force

    For more information, try '--help'.
    ");
    insta::assert_snapshot!(told(&["sync", "--adopt", "--overwrite"]), @"
    --- stderr
    error: the argument '--adopt' cannot be used with '--overwrite'

    Usage: secretzero sync --adopt

    For more information, try '--help'.
    ");
    insta::assert_snapshot!(told(&["sync", "--retry-max-attempts", "0"]), @"
    --- stderr
    error: invalid value '0' for '--retry-max-attempts <N>': 0 is not in 1..=100

    For more information, try '--help'.
    ");
    assert!(told(&["sink"]).contains("unrecognized subcommand"));
    assert!(told(&[]).contains("Usage: secretzero"));
}
