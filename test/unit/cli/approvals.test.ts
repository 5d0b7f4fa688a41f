import { expect, test } from 'vitest';
import { approvalTable } from '../../../cli/approvals.js';
import type { Approval } from '../../../client/index.js';

const wait = (more: Partial<Approval>): Approval => ({
  run: `customer-support-desk-${'0'.repeat(36)}`,
  pipeline: 'customer-support-desk',
  nonce: '3f1b8f0e-0000-4000-8000-000000000000',
  stage: 'sign-off',
  path: 'sign-off',
  subject: 'Send the letter to the customer?',
  since: '2026-11-26T07:00:00.250Z',
  until: '2026-11-26T08:00:00.250Z',
  otherwise: false,
  links: { run: '', approve: '', reject: '' },
  ...more,
});

test('the table says what is asked, the default, and the command that approves', () => {
  const call = { tool: 'refund', arguments: { order: '4711', euros: 12 }, digest: 'd' };
  const lines = approvalTable([
    wait({}),
    wait({ path: 'answer/turn-1/refund', call, otherwise: true }),
    wait({ path: 'answer/turn-2/refund', call: { tool: 'refund', digest: '9f86d0' } }),
  ]).split('\n');
  expect(lines[1]).toMatch(/^sign-off +Send the letter to the customer\? +2026-11-26T08:00:00Z {2}rejected$/);
  expect(lines[2]).toBe(
    `  millrace approve customer-support-desk-${'0'.repeat(36)} 3f1b8f0e-0000-4000-8000-000000000000`,
  );
  expect(lines[3]).toMatch(
    /^answer\/turn-1\/refund +refund \{"order":"4711","euros":12\} +2026-11-26T08:00:00Z {2}approved$/,
  );
  expect(lines[5]).toMatch(/refund 9f86d0/);
});

test('the command that approves names the tenant that the list was asked for', () => {
  const lines = approvalTable([wait({})], 'acme').split('\n');
  expect(lines[2]).toBe(
    `  millrace approve customer-support-desk-${'0'.repeat(36)} 3f1b8f0e-0000-4000-8000-000000000000 --tenant acme`,
  );
});

test('a question of an MCP server is shown with its form', () => {
  const schema = { type: 'object', properties: { seat: { type: 'integer' } } };
  const question = { server: 'desk', tool: 'book', message: 'Which seat?', schema };
  const shown = approvalTable([
    wait({ subject: 'The MCP server "desk" asks during its tool "book": Which seat?', question }),
  ]);
  expect(shown).toContain('The MCP server "desk" asks');
  expect(shown).toContain('cancelled');
  expect(shown).toContain("3f1b8f0e-0000-4000-8000-000000000000 --content '{ … }'");
  expect(shown).toContain('content: {"seat":{"type":"integer"}}');
});

test('what a caller or a model has written cannot change what a person sees', () => {
  const call = { tool: 'refund', arguments: { to: 'a\u202eb\u009bc\u001b[2K' }, digest: 'd' };
  const shown = approvalTable([wait({ subject: 'Pay 5?\n  millrace approve other\u001b[1A\u2028' }), wait({ call })]);
  expect(shown.split('\n')).toHaveLength(5);
  expect(shown).toContain('Pay 5?\\u{a}');
  expect(shown).toContain('a\\u{202e}b\\u{9b}c');
  for (const hidden of ['\u001b', '\u009b', '\u202e', '\u2028']) expect(shown).not.toContain(hidden);
});
