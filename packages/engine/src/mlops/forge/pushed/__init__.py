"""What a push to the local forge starts: the repository's own GitHub workflows, run by `act` on this machine.

`act` (https://nektosact.com) runs the steps. It ignores what GitHub's servers decide before and around a job,
so that is decided here, from the same files: `decide` (branches, paths, types), `groups` (concurrency),
`admit` (a job's group, its environment's approval). docs/ci.md says what differs from GitHub.
"""
