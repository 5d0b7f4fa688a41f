import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { checkPassages, readPassages } from '../../../cli/passage-file.js';
import type { MillraceError } from '../../../pipelines/errors.js';

function file(...lines: string[]): string {
  const name = path.join(mkdtempSync(path.join(tmpdir(), 'millrace-')), 'passages.jsonl');
  writeFileSync(name, lines.join('\n'));
  return name;
}

async function all(name: string) {
  const passages = [];
  for await (const passage of readPassages(name)) passages.push(passage);
  return passages;
}

const mistakesOf = (name: string) =>
  checkPassages(name).then(
    () => [],
    (error: MillraceError) => {
      expect(error.code).toBe('INVALID_INPUT');
      return error.details.fields ?? [];
    },
  );

describe('a file of passages', () => {
  it('is read line by line, with ids of their text where they have none', async () => {
    const name = file(
      '\ufeff{"id":"a","text":"One.","metadata":{"n":1,"ok":true,"by":"ada"}}\r',
      '',
      '{"text":"Two."}',
      '',
    );
    expect(await checkPassages(name)).toBe(2);
    const passages = await all(name);
    expect(passages).toEqual([
      { id: 'a', text: 'One.', metadata: { n: 1, ok: true, by: 'ada' } },
      { id: expect.stringMatching(/^[0-9a-f]{32}$/), text: 'Two.' },
    ]);
    expect((await all(file('{"text":"Two."}')))[0]?.id).toBe(passages[1]?.id);
  });

  it('is refused as a whole, every wrong line by its number', async () => {
    const name = file(
      '{"id":"a","text":"One."}',
      'nope',
      '',
      '{"id":"","text":" "}',
      '{"text":1}',
      '[]',
      '{"text":"x","metadata":{"deep":{}}}',
      '{"text":"x","txt":"y"}',
    );
    const mistakes = await mistakesOf(name);
    expect(mistakes.map(({ field }) => field)).toEqual(['line 2', 'line 4', 'line 5', 'line 6', 'line 7', 'line 8']);
    expect(mistakes[0]?.message).toContain('not JSON');
    expect(mistakes[1]?.message).toMatch(/id.*text: it is empty/);
    await expect(all(name)).rejects.toMatchObject({ code: 'INVALID_INPUT' });
  });

  it('with nothing but mistakes is read no further than shows', async () => {
    expect(await mistakesOf(file(...Array(100).fill('x')))).toHaveLength(20);
  });

  it('that is not there is said so', async () => {
    await expect(checkPassages('/nowhere.jsonl')).rejects.toMatchObject({
      code: 'INVALID_INPUT',
      message: expect.stringContaining('/nowhere.jsonl'),
    });
  });

  it('is shipped as a sample', async () => {
    const sample = fileURLToPath(new URL('../../../deploy/local/docs.jsonl', import.meta.url));
    expect(await checkPassages(sample)).toBe(20);
    expect(new Set((await all(sample)).map(({ id }) => id)).size).toBe(20);
  });
});
