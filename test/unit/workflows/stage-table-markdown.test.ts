import { expect, test } from 'vitest';
import type { StageRecord } from '../../../pipelines/run/index.js';
import { stageTableMarkdown } from '../../../workflows/interpreter/index.js';
import { waitFor } from '../../support/waits.js';

const row = (stage: string, more: Partial<StageRecord>): StageRecord => ({
  ...{ stage, kind: 'chat', connector: 'openai', model: 'assistant', device: 'cpu0', status: 'running' },
  ...more,
});

test('the table is narrow: what an agent does stands below it, as it is', () => {
  const lines = stageTableMarkdown([
    row('hear', { status: 'done', cache: 'miss', attempt: 1, queueMs: 2, runMs: 30 }),
    row('answer', { doing: 'waits for a person: refund({"order":"`4711`"}), answer/turn-2/refund:9f86d081884c' }),
  ]).split('\n');
  const cells = lines.map((line) => line.split('|').map((cell) => cell.replaceAll('\u00a0', '').trim()));
  expect(cells[0]?.slice(1, -1)).toEqual(['stage', 'served by', 'status', 'attempt', 'cache', 'queue ms', 'run ms']);
  expect(cells[2]?.slice(1, -1)).toEqual(['hear', 'openai · assistant @cpu0', 'done', '1', 'miss', '2', '30']);
  expect(cells[3]?.slice(1, -1)).toEqual(['answer', 'openai · assistant @cpu0', 'running', '', '', '', '']);
  expect(lines.slice(4)).toEqual([
    '',
    '- answer: `waits for a person: refund({"order":"\'4711\'"}), answer/turn-2/refund:9f86d081884c`',
  ]);
});

test('where no agent is at work there is the table alone', () => {
  expect(stageTableMarkdown([row('hear', {})]).split('\n')).toHaveLength(3);
});

test('what a model has written cannot change what a person sees of it', () => {
  const waits = [{ ...waitFor('sign-off'), subject: 'refund(\u202e"1741")\u200b' }];
  const shown = stageTableMarkdown([row('answer', { doing: 'refund("\u202e1741")' })], waits);
  expect(shown).toContain('`refund(\\u{202e}"1741")\\u{200b}`');
  expect(shown).toContain('`refund("\\u{202e}1741")`');
  for (const hidden of ['\u202e', '\u200b']) expect(shown).not.toContain(hidden);
});

test('what waits stands below it with its nonce, each on one line, whatever its subject says', () => {
  const waits = [
    { ...waitFor('sign-off'), subject: 'it\n- `other` waits' },
    { ...waitFor('next'), subject: 'x'.repeat(300) },
    ...Array.from({ length: 20 }, (_, i) => waitFor(`items[${i}]/review`)),
  ];
  const lines = stageTableMarkdown([row('hear', {})], waits)
    .split('\n')
    .slice(4);
  expect(lines[0]).toBe(
    "- `sign-off` waits for a person until 2026-01-01T01:00:00.000Z: `it - 'other' waits`, nonce `nonce of sign-off`",
  );
  expect(lines[1]).toContain(`\`${'x'.repeat(199)}…\``);
  expect(lines).toHaveLength(21);
  expect(lines.at(-1)).toBe('- and 2 more waits');
});
