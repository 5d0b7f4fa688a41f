import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { Readable, type Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { messageOf } from '../pipelines/errors.js';
import { GUARDED } from './decoders.js';

export interface FfmpegOptions {
  /** The program: a path, or a name on PATH. */
  readonly program: string;
  /** Kills the program; the reader gets the signal's reason. */
  readonly signal?: AbortSignal | undefined;
  /** The source is made while it is read: it may pause for any time. */
  readonly live?: boolean | undefined;
  /** Longest time without output while the reader waits, in milliseconds. Default `SILENCE_MS`. */
  readonly silenceMs?: number | undefined;
}

/** A file for the program: its bytes, and ffmpeg's options for it. */
export interface FfmpegInput {
  readonly bytes: AsyncIterable<Uint8Array>;
  readonly options: readonly string[];
}

export interface FfmpegJob {
  /** ffmpeg's options for `pipe:0`. */
  readonly input: readonly string[];
  /** Those for `pipe:1`. */
  readonly output: readonly string[];
  /** Streams of the output, as `-map` names them. Default: the first audio track. */
  readonly maps?: readonly string[];
  /** Further files. */
  readonly others?: readonly FfmpegInput[];
}

/**
 * Timeout without output while the reader waits, in milliseconds: the program hangs, or the store behind its input
 * does.
 */
export const SILENCE_MS = 30_000;
/** How long an ended source is awaited, in milliseconds; one that is blocked in a read does not react. */
const SOURCE_END_MS = 500;
/** Enough for the first message on stderr, which names the cause; later ones are consequences. */
const COMPLAINT_CHARACTERS = 300;

/** How the program ended. */
export type FfmpegEnd =
  /** `complaint`: warnings on stderr; usually empty. */
  | { readonly kind: 'done'; readonly complaint: string }
  | { readonly kind: 'failed'; readonly complaint: string; readonly exit: number | string }
  /** It could not be started. */
  | { readonly kind: 'absent'; readonly error: Error }
  /** No output for `SILENCE_MS`; `starved` if its source sent nothing either. */
  | { readonly kind: 'silent'; readonly starved: boolean };

/**
 * Streams bytes through ffmpeg with one thread and with what `GUARDED` allows. The process has ended when the generator has, in every case; the generator
 * returns how it ended. Throws the errors of `bytes` and the signal's reason.
 */
export async function* throughFfmpeg(
  bytes: AsyncIterable<Uint8Array>,
  job: FfmpegJob,
  { program, signal, live = false, silenceMs = SILENCE_MS }: FfmpegOptions,
): AsyncGenerator<Uint8Array, FfmpegEnd> {
  signal?.throwIfAborted();
  const { others = [] } = job;
  const stdio = ['pipe' as const, 'pipe' as const, 'pipe' as const, ...others.map(() => 'pipe' as const)];
  const child = spawn(program, argumentsFor(job), { stdio }) as Child;
  const ended = endOf(child);
  const complaint = complaintOf(child.stderr);
  const further = others.map((other, i) => feed(other.bytes, child.stdio[FIRST_OTHER + i] as Writable));
  const feeding = feedAll([feed(bytes, child.stdin), ...further]);
  // The children of a wrapper script may keep the pipes open; they are no longer read.
  const kill = () => {
    child.kill('SIGKILL');
    for (const pipe of child.stdio) pipe?.destroy();
  };
  signal?.addEventListener('abort', kill, { once: true });
  try {
    let starved = false;
    const silent = yield* output(child.stdout, silenceMs, () => {
      if (live && feeding.reading) return false;
      starved = feeding.reading;
      kill();
      return true;
    });
    const end = await ended;
    signal?.throwIfAborted();
    if (silent) return { kind: 'silent', starved };
    if (end instanceof Error) return { kind: 'absent', error: end };
    // To ffmpeg, a failed source looks like a file that ends early.
    await feeding.end();
    if (feeding.failed !== undefined) throw feeding.failed.error;
    return end === 0 ? { kind: 'done', complaint: complaint() } : { kind: 'failed', complaint: complaint(), exit: end };
  } finally {
    signal?.removeEventListener('abort', kill);
    kill();
    await Promise.all([ended, feeding.end()]);
  }
}

/** Further files come behind standard output and error. */
const FIRST_OTHER = 3;

const argumentsFor = ({ input, output: wanted, maps = ['0:a:0'], others = [] }: FfmpegJob): string[] => [
  ...['-nostdin', '-hide_banner', '-loglevel', 'error', '-filter_threads', '1', '-threads', '1'],
  ...[...GUARDED, ...input, '-i', 'pipe:0'],
  ...others.flatMap(({ options }, i) => ['-threads', '1', ...GUARDED, ...options, '-i', `pipe:${FIRST_OTHER + i}`]),
  ...maps.flatMap((map) => ['-map', map]),
  ...['-map_metadata', '-1', ...wanted, 'pipe:1'],
];

type Child = ChildProcessByStdio<Writable, Readable, Readable>;

/** The exit code or signal, or the error of the start. Never rejects. */
const endOf = (child: Child): Promise<number | string | Error> =>
  new Promise((resolve) => {
    child.once('error', resolve);
    child.once('close', (code, signal) => resolve(code ?? signal ?? 'no exit code'));
  });

/**
 * The program's output. Returns whether it was killed for sending none; time spent in the reader does not count.
 * @param kill kills it, unless it may be silent
 */
async function* output(stdout: Readable, silenceMs: number, kill: () => boolean): AsyncGenerator<Uint8Array, boolean> {
  const chunks = stdout[Symbol.asyncIterator]() as AsyncIterator<Uint8Array>;
  let silent = false;
  let timer: NodeJS.Timeout | undefined;
  const watch = () => {
    timer = setTimeout(() => {
      silent = kill();
      if (!silent) watch();
    }, silenceMs);
  };
  for (;;) {
    watch();
    // The pipe breaks when the program is killed here or could not be started; `endOf` reports why.
    const next = await chunks
      .next()
      .catch(() => ({ done: true }) as const)
      .finally(() => clearTimeout(timer));
    if (next.done) return silent;
    yield next.value;
  }
}

interface Feeding {
  /** Whether the next bytes of the source are awaited: the program has received everything so far. */
  readonly reading: boolean;
  /** The error of the source. Errors of the pipe are reported by the program's exit. */
  readonly failed: { readonly error: unknown } | undefined;
  /** Resolves when the source has ended, or after `SOURCE_END_MS`. */
  end(): Promise<void>;
}

const feedAll = (all: readonly Feeding[]): Feeding => ({
  get reading() {
    return all.some(({ reading }) => reading);
  },
  get failed() {
    return all.map(({ failed }) => failed).find((each) => each !== undefined);
  },
  async end() {
    await Promise.all(all.map((each) => each.end()));
  },
});

/** Writes the bytes to the program. */
function feed(bytes: AsyncIterable<Uint8Array>, stdin: Writable): Feeding {
  let reading = false;
  let failed: Feeding['failed'];
  const watched = async function* () {
    reading = true;
    try {
      for await (const chunk of bytes) {
        reading = false;
        yield chunk;
        reading = true;
      }
    } catch (error) {
      failed = { error };
    } finally {
      reading = false;
    }
  };
  // From Node 22 on, the error of a broken pipe is thrown into the generator that feeds it: not into the one that watches.
  const source = async function* () {
    for await (const chunk of watched()) yield chunk;
  };
  const done = pipeline(Readable.from(source()), stdin).catch(() => undefined);
  return {
    get reading() {
      return reading;
    },
    get failed() {
      return failed;
    },
    async end() {
      let timer: NodeJS.Timeout | undefined;
      const late = new Promise<void>((resolve) => {
        timer = setTimeout(resolve, SOURCE_END_MS);
      });
      await Promise.race([done, late]).finally(() => clearTimeout(timer));
    },
  };
}

/** Keeps the start of stderr, on one line, without object addresses. */
function complaintOf(stderr: Readable): () => string {
  let text = '';
  stderr.setEncoding('utf8').on('data', (part: string) => {
    if (text.length < COMPLAINT_CHARACTERS) text += part;
  });
  stderr.on('error', () => undefined);
  return () =>
    text
      .replaceAll(/ @ 0x[0-9a-f]+/g, '')
      .replaceAll(/\s+/g, ' ')
      .trim()
      .slice(0, COMPLAINT_CHARACTERS);
}

/** Why a program could not be started. */
export const codeOf = (error: Error): string => (error as NodeJS.ErrnoException).code ?? messageOf(error);
