import { expect, it } from 'vitest';
import { fitted, resultKind } from '../../../../activities/results/index.js';
import type { JsonObject } from '../../../../pipelines/json.js';
import type { WholeResult } from '../../../../pipelines/run/index.js';
import { MemoryTexts } from '../../../../testing/texts.js';

const texts = new MemoryTexts();
const kind = resultKind((tenant) => texts.of(tenant));
const signal = new AbortController().signal;
const noAudio = { read: () => never(), write: () => never() };
const never = (): never => {
  throw new Error('there is no audio');
};
const call = (input: JsonObject, tenant = 'acme') =>
  kind({ model: 'result', with: {}, input, tenant }, { signal, audio: noAudio, idempotencyKey: 'k' });

async function keep(text: string): Promise<WholeResult> {
  const { stored } = await call({ put: [text] });
  return (stored as unknown as WholeResult[])[0] as WholeResult;
}

it('a result that fits, or of a call without a limit, is left as it is', async () => {
  const of = () => texts.of('acme');
  expect(await fitted({ body: 'x'.repeat(99) }, {}, never)).toEqual({ output: { body: 'x'.repeat(99) } });
  expect(await fitted({ body: 'short' }, { fit: { characters: 5, field: 'body' } }, of)).toEqual({
    output: { body: 'short' },
  });
});

it('a longer one is stored as the text that the model would read, and its beginning returned', async () => {
  const { output, whole } = await fitted(
    { body: { a: 'é'.repeat(40) } },
    { fit: { characters: 10, field: 'body' } },
    () => texts.of('acme'),
  );
  expect(output).toEqual({});
  expect(whole).toMatchObject({ characters: 48, beginning: '{"a":"éééé', artifact: { mime: 'text/plain', bytes: 88 } });
  expect(await call({ read: { ...whole?.artifact } })).toEqual({
    text: `{"a":"${'é'.repeat(40)}"}\n[Characters 0 to 48 of 48. This is the end.]`,
  });
});

it('parts do not begin or end inside a character of two units', async () => {
  const { artifact } = await keep('ab😀cd');
  expect((await call({ read: { ...artifact }, characters: 3 })).text).toMatch(/^ab\n/);
  expect((await call({ read: { ...artifact }, from: 3, characters: 3 })).text).toMatch(/^cd\n/);
});

it('a part says where it is and how to go on; behind the end there is nothing', async () => {
  const { artifact } = await keep('x'.repeat(1_000));
  const read = { ...artifact };
  expect((await call({ read, from: 100, characters: 200 })).text).toMatch(
    /\[Characters 100 to 300 of 1000\. Read on from 300\.\]$/,
  );
  expect(await call({ read, from: 1_000 })).toEqual({ text: '[The result has only 1000 characters.]' });
});

it('finds a text in upper and lower case, as often as there is room for', async () => {
  const { artifact } = await keep(Array.from({ length: 100 }, (_, i) => `${'-'.repeat(500)} Line ${i}`).join('\n'));
  const read = { ...artifact };
  const { text } = await call({ read, find: 'LINE 7', characters: 2_000 });
  expect(String(text).match(/Line 7/g)?.length).toBeGreaterThan(1);
  expect(String(text).length).toBeLessThan(2_600);
  const [, on] = /look again from (\d+)\.\]$/.exec(String(text)) ?? [];
  const { text: more } = await call({ read, find: 'line 7', from: Number(on), characters: 4_000 });
  const found = `${text}${more}`.match(/Line 7\d?\b/g)?.map((line) => line.slice('Line '.length));
  expect([...new Set(found)]).toEqual(['7', '70', '71', '72', '73', '74', '75', '76', '77', '78', '79']);
  expect((await call({ read, find: 'nowhere' })).text).toBe('[The result does not contain "nowhere" from 0 on.]');
});

it('a text behind letters whose lower case is longer is found where it is', async () => {
  const { artifact } = await keep(`${'İ'.repeat(500)} hedef burada, İZMİR`);
  const read = { ...artifact };
  expect((await call({ read, find: 'HEDEF' })).text).toMatch(/^\[at 501\] İ+ hedef burada, İZMİR$/);
  for (const find of ['izmir', 'İzmir', 'İZMİR'.toLowerCase()])
    expect((await call({ read, find })).text).toMatch(/^\[at 515\] .*İZMİR$/);
});

it('another tenant’s result does not exist', async () => {
  const { artifact } = await keep('secret');
  await expect(call({ read: { ...artifact } }, 'other')).rejects.toMatchObject({ code: 'ARTIFACT_NOT_FOUND' });
});
