import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import path from 'node:path';
import { Readable } from 'node:stream';
import { pipeline as pipe } from 'node:stream/promises';

/** Programs that play a WAV file from standard input while it is written, in order of preference. */
const PLAYERS: readonly (readonly [program: string, ...options: string[]])[] = [
  ['ffplay', '-nodisp', '-autoexit', '-loglevel', 'error', '-i', '-'],
  ['mpv', '--no-video', '--really-quiet', '-'],
  ['aplay', '-q', '-'],
  ['play', '-q', '-t', 'wav', '-'],
];

interface Played {
  /** What plays it; undefined if it was written to `file`. */
  readonly player?: string;
  readonly file?: string;
}

/**
 * Plays audio while it is made by the first player that starts here, or writes it to a file if there is none, or the
 * player ends early because the machine has no sound.
 * @param file where it is written: a WAV file
 */
export async function playOrWrite(
  audio: ReadableStream<Uint8Array>,
  file: string,
  note: (text: string) => void,
  players = PLAYERS,
): Promise<Played> {
  const bytes = Readable.fromWeb(audio as Parameters<typeof Readable.fromWeb>[0]);
  const player = await started(players);
  if (player === undefined) {
    const names = players.map(([program]) => program).join(', ');
    note(`no player starts here (${names}): writing ${path.relative('.', file)} as it is made`);
    await pipe(bytes, createWriteStream(file));
    return { file };
  }
  note(`playing with ${player.program}`);
  await pipe(bytes, player.child.stdin).catch((error: NodeJS.ErrnoException) => {
    // The player has ended: the listener closed it, or the machine has no sound.
    if (error.code !== 'EPIPE' && error.code !== 'ERR_STREAM_PREMATURE_CLOSE') throw error;
  });
  const code = await player.ended;
  if (code !== 0) note(`${player.program} ended with ${code}; the audio is among the files of the output`);
  return { player: player.program };
}

async function started(players: typeof PLAYERS) {
  for (const [program, ...options] of players) {
    const child = spawn(program, options, { stdio: ['pipe', 'ignore', 'ignore'] });
    const ended = new Promise<number | string>((resolve) => {
      child.once('close', (code, signal) => resolve(code ?? signal ?? 'no exit code'));
    });
    child.on('error', () => undefined);
    const here = await once(child, 'spawn').then(
      () => true,
      () => false,
    );
    if (here) return { program, child, ended };
  }
  return undefined;
}
