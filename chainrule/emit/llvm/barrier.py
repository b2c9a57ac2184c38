"""What the threads of a step share: where they stand, and how they wait for each other.

A thread that waits looks at a number again and again, for a while. Then it sleeps, so that a
machine with other work to do can do it. How long it looks follows from what has happened: twice as
long after each time that looking was enough, a quarter after each time that it slept, and now and
then as long as at first. Where all threads run all the time nobody sleeps, which would cost them
more than a step (a virtual processor takes 50 to 100 µs to wake up); where something else runs
nobody looks for long.
"""

from __future__ import annotations

# Places in the block of whole numbers that threads share; each stands in a cache line of its own.
LINE = 8
ARRIVED, TURN, ASLEEP, STOP, DONE, HALT, REST, CALL, LEAST, MOST = (LINE * i for i in range(10))
SIZE = LINE * 10
# The patience of a thread that has slept is divided by LESS; after TRIES with the least it has the
# most once more, for threads that wake each other up all the time wait longer than the least.
LESS, TRIES = 4, 16
RUN = REST  # before it stands what a run changes, from it on what it is given
# FUTEX_WAIT and FUTEX_WAKE, among the threads of one process (linux/futex.h)
SLEEP, WAKE = 128, 129
EVERYBODY = 2**31 - 1
NO_MORE = "i64 0, i64 0, i64 0"  # of the arguments of futex: no time limit, no second address


def barrier(threads: int) -> str:
    """The text of ``void wait(i64* shared, i64* patience)``: the last to arrive lets all go on.

    ``patience`` belongs to the thread: how often it looks before it sleeps. It stays between
    ``shared[LEAST]`` and ``shared[MOST]``.

    ``shared[REST]`` is the address of a function that is called, with the number ``shared[CALL]``
    first, to sleep until ``shared[TURN]`` changes and to wake those who do: Linux's ``syscall``
    with the number of futex. Elsewhere a function that gives up the processor once will do, for it
    is called again as long as the turn is the same.

    Nobody sleeps through the turn: who goes to sleep says so first (ASLEEP) and then sleeps only if
    the turn is still the same; who opens changes the turn first and then looks who is asleep.
    """
    return BARRIER.replace("OTHERS", str(threads - 1))


BARRIER = f"""\
define internal void @wait(ptr %shared, ptr %patience.at) nounwind {{
entry:
  %turn.at = getelementptr i64, ptr %shared, i64 {TURN}
  %arrived.at = getelementptr i64, ptr %shared, i64 {ARRIVED}
  %asleep.at = getelementptr i64, ptr %shared, i64 {ASLEEP}
  %rest.at = getelementptr i64, ptr %shared, i64 {REST}
  %call.at = getelementptr i64, ptr %shared, i64 {CALL}
  %rest = load ptr, ptr %rest.at, align 8
  %number = load i64, ptr %call.at, align 8
  %most.at = getelementptr i64, ptr %shared, i64 {MOST}
  %most = load i64, ptr %most.at, align 8
  %spins = load i64, ptr %patience.at, align 8
  %turn = load atomic i64, ptr %turn.at acquire, align 8
  %before = atomicrmw add ptr %arrived.at, i64 1 acq_rel
  %latest = icmp eq i64 %before, OTHERS
  br i1 %latest, label %open, label %spin
open:
  store atomic i64 0, ptr %arrived.at monotonic, align 8
  %next = add i64 %turn, 1
  store atomic i64 %next, ptr %turn.at seq_cst, align 8
  %sleeping = load atomic i64, ptr %asleep.at seq_cst, align 8
  %nobody = icmp eq i64 %sleeping, 0
  br i1 %nobody, label %done, label %wake
wake:
  %woken = call i64 %rest(i64 %number, ptr %turn.at, i64 {WAKE}, i64 {EVERYBODY}, {NO_MORE})
  ret void
spin:
  %count = phi i64 [ 0, %entry ], [ %more, %again ]
  %now = load atomic i64, ptr %turn.at acquire, align 8
  %opened = icmp ne i64 %now, %turn
  br i1 %opened, label %seen, label %check
check:
  %patient = icmp slt i64 %count, %spins
  br i1 %patient, label %again, label %sleep
sleep:
  %least.at = getelementptr i64, ptr %shared, i64 {LEAST}
  %least = load i64, ptr %least.at, align 8
  %less = sdiv i64 %spins, {LESS}
  %enough = icmp sgt i64 %less, %least
  %fewer = select i1 %enough, i64 %less, i64 %least
  %down = sub i64 %spins, 1
  %last = sub i64 %least, {TRIES}
  %tired = icmp slt i64 %down, %last
  %another = select i1 %tired, i64 %most, i64 %down
  %low = icmp sle i64 %spins, %least
  %next.spins = select i1 %low, i64 %another, i64 %fewer
  store i64 %next.spins, ptr %patience.at, align 8
  %told = atomicrmw add ptr %asleep.at, i64 1 seq_cst
  %slept = call i64 %rest(i64 %number, ptr %turn.at, i64 {SLEEP}, i64 %turn, {NO_MORE})
  %awake = atomicrmw sub ptr %asleep.at, i64 1 seq_cst
  br label %again
again:
  %more = add i64 %count, 1
  br label %spin
seen:
  %slept.once = icmp sgt i64 %count, %spins
  br i1 %slept.once, label %done, label %soon
soon:
  %twice = mul i64 %spins, 2
  %many = icmp sgt i64 %twice, %most
  %more.patience = select i1 %many, i64 %most, i64 %twice
  store i64 %more.patience, ptr %patience.at, align 8
  br label %done
done:
  ret void
}}
"""
