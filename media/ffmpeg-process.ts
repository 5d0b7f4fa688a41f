import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { Readable, type Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { messageOf } from '../pipelines/errors.js';

export interface FfmpegOptions {
  /** The program: a path, or a name on PATH. */
  readonly program: string;
  /** Ends the program at once; the reader gets the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

/** The output is being waited for: a program silent for this long hangs, or the store that its input comes from. */
export const SILENCE_MS = 30_000;
/** A source is told to end and then waited for; one that is stuck in a read does not hear it. */
const SOURCE_END_MS = 500;
/** Enough for the first complaint, which names the cause; those that follow from it do not matter. */
const COMPLAINT_CHARACTERS = 300;

/** How the program has ended. */
export type FfmpegEnd =
  /** `complaint`: what it has complained of all the same; empty mostly. */
  | { readonly kind: 'done'; readonly complaint: string }
  | { readonly kind: 'failed'; readonly complaint: string; readonly exit: number | string }
  /** It could not be started. */
  | { readonly kind: 'absent'; readonly error: Error }
  /** It gave nothing for `SILENCE_MS`: `starved`, because its source did not either. */
  | { readonly kind: 'silent'; readonly starved: boolean };

/**
 * Sends bytes through ffmpeg, as both stream by, with one thread, pipes only, no file and no network: `-protocol_whitelist
 * pipe` keeps a hostile file from naming others. The program is gone when the generator has ended, however it ends; its
 * result is how the program did. Throws what `bytes` throws and the signal's reason.
 * @param input what `pipe:0` is, `output` what `pipe:1` is to be, as ffmpeg's options
 */
export async function* throughFfmpeg(
  bytes: AsyncIterable<Uint8Array>,
  { input, output: wanted }: { readonly input: readonly string[]; readonly output: readonly string[] },
  { program, signal }: FfmpegOptions,
): AsyncGenerator<Uint8Array, FfmpegEnd> {
  signal?.throwIfAborted();
  const child = spawn(program, argumentsFor(input, wanted), { stdio: ['pipe', 'pipe', 'pipe'] });
  const ended = endOf(child);
  const complaint = complaintOf(child.stderr);
  const feeding = feed(bytes, child.stdin);
  // A wrapper's own children may live on with the pipes; nobody reads those any more.
  const kill = () => {
    child.kill('SIGKILL');
    for (const pipe of child.stdio) pipe?.destroy();
  };
  signal?.addEventListener('abort', kill, { once: true });
  try {
    let starved = false;
    const silent = yield* output(child.stdout, () => {
      starved = feeding.reading;
      kill();
    });
    const end = await ended;
    signal?.throwIfAborted();
    if (silent) return { kind: 'silent', starved };
    if (end instanceof Error) return { kind: 'absent', error: end };
    // A source that failed looks to ffmpeg like a file that ends early.
    await feeding.end();
    if (feeding.failed !== undefined) throw feeding.failed.error;
    return end === 0 ? { kind: 'done', complaint: complaint() } : { kind: 'failed', complaint: complaint(), exit: end };
  } finally {
    signal?.removeEventListener('abort', kill);
    kill();
    await Promise.all([ended, feeding.end()]);
  }
}

const argumentsFor = (input: readonly string[], wanted: readonly string[]): string[] => [
  ...['-nostdin', '-hide_banner', '-loglevel', 'error', '-threads', '1'],
  ...['-protocol_whitelist', 'pipe', ...input, '-i', 'pipe:0'],
  ...['-map', '0:a:0', '-map_metadata', '-1', ...wanted, 'pipe:1'],
];

type Child = ChildProcessByStdio<Writable, Readable, Readable>;

/** Its exit code or signal, or why it could not be started. Never rejects. */
const endOf = (child: Child): Promise<number | string | Error> =>
  new Promise((resolve) => {
    child.once('error', resolve);
    child.once('close', (code, signal) => resolve(code ?? signal ?? 'no exit code'));
  });

/** What the program gives. Returns whether it was ended for giving nothing; time that the reader takes does not count. */
async function* output(stdout: Readable, kill: () => void): AsyncGenerator<Uint8Array, boolean> {
  const chunks = stdout[Symbol.asyncIterator]() as AsyncIterator<Uint8Array>;
  let silent = false;
  const onSilence = () => {
    silent = true;
    kill();
  };
  for (;;) {
    const timer = setTimeout(onSilence, SILENCE_MS);
    // The pipe breaks when the program is ended from here or could not be started; its end says why.
    const next = await chunks
      .next()
      .catch(() => ({ done: true }) as const)
      .finally(() => clearTimeout(timer));
    if (next.done) return silent;
    yield next.value;
  }
}

interface Feeding {
  /** Whether the next bytes of the source are being waited for: the program has been given all there is. */
  readonly reading: boolean;
  /** What the source threw. An error of the pipe is the program's own affair. */
  readonly failed: { readonly error: unknown } | undefined;
  /** Resolves when the source has ended, or has had its time to. */
  end(): Promise<void>;
}

/** Hands over the bytes. */
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

/** Keeps the start of what the program complains of, on one line, without the addresses of its objects. */
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
