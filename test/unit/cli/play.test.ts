import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { playOrWrite } from '../../../cli/play.js';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'millrace-play-'));
});
afterAll(() => rm(folder, { recursive: true }));

const audio = () => new Blob(['one ', 'two ', 'three']).stream() as ReadableStream<Uint8Array>;
const notes: string[] = [];
const note = (text: string) => void notes.push(text);
const node = (program: string) => [process.execPath, '-e', program] as const;

describe('audio that is played while it is made', () => {
  test('goes to the first player that starts', async () => {
    const heard = path.join(folder, 'heard');
    const player = node(`process.stdin.pipe(require('fs').createWriteStream(${JSON.stringify(heard)}))`);
    const played = await playOrWrite(audio(), path.join(folder, 'a.wav'), note, [['no-such-player'], player]);
    expect(played).toEqual({ player: process.execPath });
    expect(await readFile(heard, 'utf8')).toBe('one two three');
  });

  test('is written, and this is said, where there is none', async () => {
    const file = path.join(folder, 'b.wav');
    expect(await playOrWrite(audio(), file, note, [['no-such-player']])).toEqual({ file });
    expect(await readFile(file, 'utf8')).toBe('one two three');
    expect(notes.at(-1)).toMatch(/no player starts here \(no-such-player\): writing .*b\.wav/);
  });

  test('does not fail where the player does: the machine may have no sound', async () => {
    await playOrWrite(audio(), path.join(folder, 'c.wav'), note, [node('process.exit(1)')]);
    expect(notes.at(-1)).toContain('ended with 1');
  });
});
