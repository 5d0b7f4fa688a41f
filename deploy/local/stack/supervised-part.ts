import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readdirSync, renameSync, rmSync, statSync, writeSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { identify, signalGroup, signalProcess } from '../../../runtime/process-identity.js';
import { failuresAfter, RecentEnds, restartDelay } from './backoff.js';
import { STACK_MARK } from './marks.js';
import { codeHash } from './part-code.js';
import type { PartSpec } from './part-spec.js';
import { runProbe } from './probes.js';
import type { PartRecord } from './stack-state.js';

/** Interval of probes while a part starts, in milliseconds; it bounds the delay in detecting that the part is ready. */
const START_PROBE_MS = 100;
const LIVE_PROBE_MS = 5_000;
/** Consecutive probes without a response after which a ready part counts as hung: about half a minute. */
const SILENT_PROBES = 3;
/** A log above this size is rotated at the next start, in bytes. */
const LOG_LIMIT = 20 * 1024 * 1024;
const BASICS = ['PATH', 'HOME', 'USER', 'LOGNAME', 'LANG', 'LC_ALL', 'TZ', 'TMPDIR'];

interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/**
 * Keeps one part running: starts it, waits until it is ready, watches it, and restarts it when it ends, until `stop`.
 */
export class SupervisedPart {
  readonly record: PartRecord;
  readonly done: Promise<void>;
  private child: ChildProcess | undefined;
  private reason: string | undefined;
  private readonly stopping = new AbortController();
  private readonly recentEnds = new RecentEnds();

  constructor(
    readonly spec: PartSpec,
    private readonly home: string,
    /** Resolves when the parts that it needs are ready. */
    needsReady: Promise<void>,
    /** Called after each change of the record. */
    private readonly onChange: () => void,
  ) {
    this.record = {
      name: spec.name,
      state: 'waiting',
      starts: 0,
      failures: 0,
      ...(spec.program !== undefined && { program: spec.program }),
      address: spec.address,
      ports: spec.ports.map(({ port }) => port),
      log: spec.log,
    };
    this.done = this.run(needsReady);
  }

  /** Sends SIGTERM to the part, and SIGKILL to its process group after the grace; resolves when no process is left. */
  async stop(): Promise<void> {
    this.stopping.abort();
    if (this.child?.pid !== undefined) {
      this.change({ state: 'stopping' });
      await this.end(this.child.pid, 'stopped');
    }
    await this.done;
  }

  private async run(needsReady: Promise<void>): Promise<void> {
    const { signal } = this.stopping;
    await Promise.race([needsReady, aborted(signal)]);
    while (!signal.aborted) {
      const startedAt = Date.now();
      const readyAt = await this.once(startedAt);
      if (signal.aborted) break;
      const readyForMs = readyAt === undefined ? undefined : Date.now() - readyAt;
      const failures = failuresAfter(this.record.failures, readyForMs);
      this.change({ state: 'backoff', failures });
      const delay = Math.max(restartDelay(failures), this.recentEnds.add(readyForMs));
      await sleep(delay, undefined, { signal }).catch(() => undefined);
    }
    this.change({ state: 'stopped' });
  }

  /** Runs the part once. Returns when it has ended, with the time at which it became ready. */
  private async once(startedAt: number): Promise<number | undefined> {
    const { spec } = this;
    this.reason = undefined;
    removeSharedMemory(spec.sharedMemoryPrefix);
    const code = spec.code && (await codeHash(spec.code));
    if (this.stopping.signal.aborted) return undefined;
    const child = this.spawn();
    const exited = exitOf(child);
    this.child = child;
    this.change({
      state: 'starting',
      starts: this.record.starts + 1,
      process: child.pid ? identify(child.pid) : undefined,
      code,
    });
    let readyAt: number | undefined;
    const over = new AbortController();
    const watching = this.watch(child, over.signal, () => {
      readyAt = Date.now();
      this.change({ state: 'ready', readyMs: readyAt - startedAt });
    });
    const exit = await exited;
    over.abort();
    this.child = undefined;
    // Triton's stubs outlive a killed server.
    if (child.pid !== undefined) signalGroup(child.pid, 'SIGKILL');
    removeSharedMemory(spec.sharedMemoryPrefix);
    const lastExit = {
      ...exit,
      ...(this.reason !== undefined && { reason: this.reason }),
      at: new Date().toISOString(),
      uptimeMs: Date.now() - startedAt,
    };
    // One change: a part without a process must not count as ready while its last probe waits for an answer.
    const state = this.stopping.signal.aborted ? this.record.state : 'backoff';
    this.change({ state, process: undefined, readyMs: undefined, lastExit });
    await watching;
    return readyAt;
  }

  /** Until the part ends: probes whether it is ready, then whether it still responds; ends it if it does not. */
  private async watch(child: ChildProcess, over: AbortSignal, onReady: () => void): Promise<void> {
    const { probe, startTimeoutMs } = this.spec;
    const pause = (ms: number) => sleep(ms, undefined, { signal: over }).catch(() => undefined);
    const giveUpAt = Date.now() + startTimeoutMs;
    while (!over.aborted && (await runProbe(probe)) !== 'ready') {
      if (Date.now() > giveUpAt) return this.end(child.pid, `not ready after ${startTimeoutMs} ms`);
      await pause(START_PROBE_MS);
    }
    if (over.aborted) return;
    onReady();
    for (let silent = 0; !over.aborted; ) {
      await pause(LIVE_PROBE_MS);
      if (over.aborted) return;
      silent = (await runProbe(probe)) === 'silent' ? silent + 1 : 0;
      if (silent >= SILENT_PROBES) return this.end(child.pid, `no answer to ${silent} probes`);
    }
  }

  private async end(pid: number | undefined, reason: string): Promise<void> {
    if (pid === undefined) return;
    this.reason ??= reason;
    signalProcess(pid, 'SIGTERM');
    const giveUpAt = Date.now() + this.spec.stopGraceMs;
    while (this.child?.pid === pid && Date.now() < giveUpAt) await sleep(20);
    if (this.child?.pid === pid) signalGroup(pid, 'SIGKILL');
  }

  private spawn(): ChildProcess {
    const { spec, record } = this;
    mkdirSync(spec.cwd, { recursive: true });
    const log = openLog(spec.log, record.starts === 0);
    writeSync(log, `--- ${new Date().toISOString()} ${spec.name}: start ${record.starts + 1}\n`);
    try {
      // Its own process group, so that the part and its children can be ended together.
      return spawn(spec.command, spec.args, {
        cwd: spec.cwd,
        env: this.environment(),
        detached: true,
        stdio: ['ignore', log, log],
      });
    } finally {
      closeSync(log);
    }
  }

  private environment(): NodeJS.ProcessEnv {
    const { inherit, env } = this.spec;
    const handed =
      inherit === 'all'
        ? process.env
        : Object.fromEntries(Object.entries(process.env).filter(([name]) => BASICS.includes(name)));
    return { ...handed, ...env, [STACK_MARK]: this.home };
  }

  private change(fields: { [K in keyof PartRecord]?: PartRecord[K] | undefined }): void {
    Object.assign(this.record, fields);
    this.onChange();
  }
}

const aborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });

/** A program that cannot be started counts as one that exited at once. */
const exitOf = (child: ChildProcess): Promise<Exit> =>
  new Promise((resolve) => {
    child.once('error', () => resolve({ code: null, signal: null }));
    child.once('exit', (code, signal) => resolve({ code, signal }));
  });

/** Opens the log for appending; rotates it at the first start, or if it is too large. */
function openLog(file: string, first: boolean): number {
  mkdirSync(path.dirname(file), { recursive: true });
  const size = statSync(file, { throwIfNoEntry: false })?.size ?? 0;
  if ((first && size > 0) || size > LOG_LIMIT) renameSync(file, `${file}.1`);
  return openSync(file, 'a');
}

/** Removes the shared memory that a killed Triton leaves behind, tens of megabytes each time. */
function removeSharedMemory(prefix: string | undefined): void {
  if (prefix === undefined) return;
  try {
    for (const name of readdirSync('/dev/shm')) {
      if (name.startsWith(prefix)) rmSync(path.join('/dev/shm', name), { force: true });
    }
  } catch {
    // No readable /dev/shm: nothing to remove.
  }
}
