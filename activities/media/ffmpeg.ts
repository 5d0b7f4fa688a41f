import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { Readable, type Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { MillraceError, messageOf } from '../../pipelines/errors.js';
import type { AudioEncoding } from '../../pipelines/media.js';
import { ENCODINGS } from './encodings.js';
import { invalidMedia } from './wav-format.js';

export interface FfmpegOptions {
  /** The program: a path, or a name on PATH. */
  readonly program: string;
  /** Ends the program at once; the reader gets the signal's reason. */
  readonly signal?: AbortSignal | undefined;
  /** Told at the end what was wrong with a file that could be decoded all the same. */
  readonly onDamage?: ((text: string) => void) | undefined;
}

/** The output is being waited for: a program silent for this long hangs, or the store that its input comes from. */
const SILENCE_MS = 30_000;
/** A source is told to end and then waited for; one that is stuck in a read does not hear it. */
const SOURCE_END_MS = 500;
/** Enough for the first complaint, which names the cause; those that follow from it do not matter. */
const COMPLAINT_CHARACTERS = 300;
/** Complaints of a file whose rest cannot be reached; ffmpeg itself is content with what came before it. */
const CUT_SHORT = /error during demuxing|partial file/i;
/** Complaints of a build of ffmpeg that lacks the part for a format. */
const LACKING = /unknown input format|decoder .*not found|unknown decoder/i;

/**
 * Decodes the first audio track of a file by ffmpeg, as both stream by: a WAV of 32-bit float at the file's own rate and
 * channels, its size left open. The program gets pipes only, no file and no network, and is gone when the generator has
 * ended, however it ends. Throws `CONVERSION_UNAVAILABLE` without ffmpeg, `INVALID_MEDIA` for what it cannot decode,
 * `STORE_UNAVAILABLE` when `bytes` gives nothing for half a minute, and whatever `bytes` throws. Damage that players
 * pass over, such as a broken frame, is told to `onDamage`.
 */
export async function* decodeByFfmpeg(
  bytes: AsyncIterable<Uint8Array>,
  encoding: Exclude<AudioEncoding, 'wav'>,
  { program, signal, onDamage }: FfmpegOptions,
): AsyncGenerator<Uint8Array, void> {
  signal?.throwIfAborted();
  const child = spawn(program, argumentsFor(encoding), { stdio: ['pipe', 'pipe', 'pipe'] });
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
    const seconds = SILENCE_MS / 1_000;
    if (starved) {
      throw new MillraceError('STORE_UNAVAILABLE', `the store gave nothing of the ${encoding} file for ${seconds} s`);
    }
    if (silent) throw invalidMedia(`ffmpeg made nothing of the ${encoding} file for ${seconds} s`);
    if (end instanceof Error) throw unavailable(encoding, `"${program}" cannot be started here (${codeOf(end)})`);
    // A source that failed looks to ffmpeg like a file that ends early.
    await feeding.end();
    if (feeding.failed !== undefined) throw feeding.failed.error;
    const text = complaint();
    if (end === 0 && CUT_SHORT.test(text)) throw invalidMedia(`the ${encoding} file is cut short: ${text}`);
    if (end === 0) {
      if (text !== '') onDamage?.(text);
      return;
    }
    if (LACKING.test(text)) throw unavailable(encoding, `this build of it cannot read it (${text})`);
    throw invalidMedia(`the ${encoding} file cannot be decoded: ${text || `ffmpeg ended with ${end}`}`);
  } finally {
    signal?.removeEventListener('abort', kill);
    kill();
    await Promise.all([ended, feeding.end()]);
  }
}

/** `-protocol_whitelist pipe` keeps a hostile file from naming others that ffmpeg would open for it. */
const argumentsFor = (encoding: Exclude<AudioEncoding, 'wav'>): string[] => [
  ...['-nostdin', '-hide_banner', '-loglevel', 'error', '-threads', '1'],
  ...['-protocol_whitelist', 'pipe', '-f', ENCODINGS[encoding].demuxer ?? encoding, '-i', 'pipe:0'],
  ...['-map', '0:a:0', '-map_metadata', '-1', '-c:a', 'pcm_f32le', '-f', 'wav', 'pipe:1'],
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
  const source = async function* () {
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

const unavailable = (encoding: string, why: string) =>
  new MillraceError(
    'CONVERSION_UNAVAILABLE',
    `${encoding} audio is decoded by ffmpeg, and ${why}: install ffmpeg on the worker, set MILLRACE_FFMPEG, or send WAV`,
  );

const codeOf = (error: Error): string => (error as NodeJS.ErrnoException).code ?? messageOf(error);
