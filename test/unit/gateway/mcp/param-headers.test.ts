import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { mismatchOf, paramHeadersIn } from '../../../../gateway/mcp/param-headers.js';
import { pipeline } from '../../../../pipelines/index.js';

const named = (header: string) => ({ 'x-mcp-header': header });
const { inputSchema } = pipeline(
  'report',
  {
    input: z.object({
      region: z.string().meta(named('Region')),
      page: z.object({ number: z.int().optional().meta(named('Page')) }).optional(),
      dry: z.boolean().optional().meta(named('Dry')),
      other: z.string().optional(),
    }),
  },
  ({ input }) => ({ region: input.region }),
);
const declared = paramHeadersIn(inputSchema);
const base64 = (text: string) => `=?base64?${Buffer.from(text).toString('base64')}?=`;

describe('headers that repeat arguments', () => {
  it('are those that the schema declares, at any depth', () => {
    expect(declared).toEqual([
      { path: ['region'], header: 'Mcp-Param-Region' },
      { path: ['page', 'number'], header: 'Mcp-Param-Page' },
      { path: ['dry'], header: 'Mcp-Param-Dry' },
    ]);
  });

  it.each([
    [{ region: 'eu' }, { 'mcp-param-region': 'eu' }],
    [{ region: 'Åland' }, { 'mcp-param-region': base64('Åland') }],
    [{ region: '=?base64?ZXU=' }, { 'mcp-param-region': '=?base64?ZXU=' }],
    [
      { region: 'eu', page: { number: 42 }, dry: false },
      { 'mcp-param-region': 'eu', 'mcp-param-page': '42.0', 'mcp-param-dry': 'false' },
    ],
    [{ region: null }, {}],
    [{ page: 7 }, { 'mcp-param-region': 'unasked' }],
  ])('agree: %j', (given, headers) => {
    expect(mismatchOf(declared, given, headers)).toBeUndefined();
  });

  it.each([
    [{ region: 'eu' }, {}, /Mcp-Param-Region, which repeats region, is missing/],
    [{ region: 'eu' }, { 'mcp-param-region': 'us' }, /another value/],
    [{ region: 'eu' }, { 'mcp-param-region': '=?base64?ZXU?=' }, /not base64 of UTF-8/],
    [{ region: 'eu' }, { 'mcp-param-region': '=?base64?ZX!U=?=' }, /not base64 of UTF-8/],
    [{ region: 'eu' }, { 'mcp-param-region': '=?base64?/w==?=' }, /not base64 of UTF-8/],
    [{ page: { number: 42 } }, { 'mcp-param-page': '0x2a' }, /Mcp-Param-Page, which repeats page.number/],
  ])('disagree: %j', (given, headers, message) => {
    expect(mismatchOf(declared, given, headers)).toMatch(message);
  });
});
