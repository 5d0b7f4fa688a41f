import { expect, it } from 'vitest';
import { contentsOfArtifact } from '../../../../gateway/mcp/artifact-contents.js';

const uri = `artifact://acme/${'1'.repeat(64)}`;
const of = (text: string, mime = 'text/plain') =>
  contentsOfArtifact({ uri, mime }, Buffer.from(text).toString('base64'));

it('a coloured log is a text; one of control characters, which JSON makes six times as long, is base64', () => {
  const log = '\u001b[1mThe mill\u001b[0m turns.\n\tSo it does.\r\n';
  expect(of(log)).toEqual({ uri, mimeType: 'text/plain', text: log });
  const controls = '\u0001'.repeat(1_000);
  expect(of(controls)).toEqual({ uri, mimeType: 'text/plain', blob: Buffer.from(controls).toString('base64') });
  expect(of(log, 'application/pdf')).toHaveProperty('blob');
});
