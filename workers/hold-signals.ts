import type { EventEmitter } from 'node:events';

/** As shells report an end by SIGINT. */
const INTERRUPTED = 130;

/**
 * Interrupts within this time of the first one, in milliseconds, are the same: npm passes on to its child what a terminal has sent to
 * both. A person's second Ctrl-C comes later.
 */
const SAME_MS = 1_000;

interface HeldSignals {
  /** Aborts at the first SIGTERM or SIGINT. */
  readonly received: AbortSignal;
  /** From now on a signal ends the process again. */
  release(): void;
}

/**
 * Lets a process end in order, although the signal to end comes again: npm, systemd and terminals send it to a group of processes, of which
 * some pass it on. Node ends a process at once by a signal that nothing listens to any more. A second Ctrl-C does end it.
 */
export function holdSignals(
  from: EventEmitter = process,
  exit: (code: number) => void = (code) => process.exit(code),
): HeldSignals {
  const received = new AbortController();
  let interruptedAt: number | undefined;
  const onTerminate = () => received.abort();
  const onInterrupt = () => {
    const now = performance.now();
    interruptedAt ??= now;
    received.abort();
    if (now - interruptedAt > SAME_MS) exit(INTERRUPTED);
  };
  from.on('SIGTERM', onTerminate).on('SIGINT', onInterrupt);
  return {
    received: received.signal,
    release: () => void from.off('SIGTERM', onTerminate).off('SIGINT', onInterrupt),
  };
}
