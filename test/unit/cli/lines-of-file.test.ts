import { mkdtempSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { linesOfFile } from '../../../cli/lines-of-file.js';
import { readTraces } from '../../../cli/place-files.js';

const folder = mkdtempSync(path.join(tmpdir(), 'millrace-lines-'));
function written(text: string): string {
  const file = path.join(folder, 'x.csv');
  writeFileSync(file, text);
  return file;
}
const limits = (bytes: number, characters = 100) => ({ bytes, characters });

describe('the lines of a file', () => {
  it.each([1, 2, 3, 7, 100])('are the same whatever is read at a time, here %i bytes', (bytes) => {
    const lines = (text: string) => [...linesOfFile(written(text), 'INVALID_TRACE', limits(bytes))];
    expect(lines('ä,1\r\nb\n\n€ and more\nlast')).toEqual(['ä,1', 'b', '', '€ and more', 'last']);
    expect(lines('a\n')).toEqual(['a']);
    expect(lines('\r\n\n')).toEqual(['', '']);
    expect(lines('')).toEqual([]);
  });

  it('are refused where one is too long for memory, by its number', () => {
    const file = written('ab\ncd\nabcdefgh\n');
    const message = expect.stringMatching(/x\.csv:3: the line has more than 6 characters/);
    expect(() => [...linesOfFile(file, 'INVALID_TRACE', limits(3, 6))]).toThrow(
      expect.objectContaining({ code: 'INVALID_TRACE', message }),
    );
  });

  it.each(['none.csv', '.'])('are refused of %s, which cannot be read', (name) => {
    expect(() => [...linesOfFile(path.join(folder, name), 'INVALID_TRACE')]).toThrow(
      expect.objectContaining({ code: 'INVALID_TRACE', message: expect.stringMatching(/^cannot read /) }),
    );
  });
});

it('says of a trace that is larger than a text can be how to make it smaller, and does not read it', async () => {
  const file = written('timestamp_s\n');
  // It has no blocks on the disk.
  truncateSync(file, 600 * 2 ** 20);
  await expect(readTraces([file])).rejects.toMatchObject({
    code: 'INVALID_TRACE',
    message: expect.stringMatching(/x\.csv has 600 MiB, and a file of at most 511 MiB can be read: .*trace import csv/),
  });
  truncateSync(file, 0);
});
