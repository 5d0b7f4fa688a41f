import type { CallToolResult } from '@modelcontextprotocol/client';
import { describe, expect, it } from 'vitest';
import { resultValue } from '../../../../activities/mcp/result.js';

const valueIn = (...content: object[]) => resultValue({ content } as unknown as CallToolResult);

describe('a result of a tool without structured content', () => {
  it('is its texts, those of embedded resources among them', async () => {
    const resource = { uri: 'repo://README.md', mimeType: 'text/markdown', text: '# Mill' };
    expect(await valueIn({ type: 'text', text: 'found 1 file' }, { type: 'resource', resource })).toBe(
      'found 1 file\n# Mill',
    );
  });

  it('names what it cannot show', async () => {
    const resource = { uri: 'repo://plan.pdf', mimeType: 'application/pdf', blob: 'JVBERg==' };
    expect(await valueIn({ type: 'resource', resource })).toBe('[resource application/pdf repo://plan.pdf]');
    const link = { type: 'resource_link', uri: 'repo://big', name: 'big', mimeType: 'text/plain' };
    expect(await valueIn(link)).toBe('[resource_link text/plain repo://big]');
  });
});
