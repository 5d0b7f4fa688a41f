import { existsSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { SEGMENTS } from '../../../cli/graph.js';
import { renderIndex, renderLlms } from '../../../docs/reference/pages.mjs';
import { voiceAssistant } from '../../../pipelines/catalog/index.js';
import { svg } from '../../../pipelines/inspect/index.js';
import { pagesOf, ROOT, read } from '../../support/pages.js';

const STALE = 'run: npm run build && node docs/reference/generate.mjs';
const linksOf = (text: string) => [...text.matchAll(/^- \[[^\]]+\]\(([^)]+)\)/gm)].map(([, link = '']) => link);

describe('the index of the pages and llms.txt', () => {
  it('are what the pages give', () => {
    expect(read('docs/README.md'), STALE).toBe(renderIndex(ROOT));
    expect(read('llms.txt'), STALE).toBe(renderLlms(ROOT));
  });

  it('llms.txt has the form of llmstxt.org, and links every page once', () => {
    const text = read('llms.txt');
    expect(text).toMatch(/^# Millrace\n\n(> .+\n)+\n(?:[^#].*\n|\n)+## /);
    const links = linksOf(text);
    expect(new Set(links).size).toBe(links.length);
    for (const link of links) expect(existsSync(path.join(ROOT, link)), link).toBe(true);
    expect(links).toEqual(expect.arrayContaining(pagesOf('docs').filter((page) => page !== 'docs/README.md')));
  });

  it('the index says of each page what it is about, and leaves out only decision records', () => {
    const text = read('docs/README.md');
    expect(text, 'every page belongs to a section of docs/reference/pages.mjs').not.toContain('## More');
    const links = linksOf(text).map((link) => path.posix.join('docs', link));
    const own = pagesOf('docs').filter((page) => page !== 'docs/README.md' && !/decisions\/\d/.test(page));
    expect(links).toEqual(expect.arrayContaining(own));
  });
});

describe('the picture of the README', () => {
  it('is what `millrace graph` draws', () => {
    expect(read('docs/images/voice-assistant.svg'), STALE).toBe(svg(voiceAssistant.plan, SEGMENTS));
    expect(read('README.md')).toContain('(docs/images/voice-assistant.svg)');
  });

  it('is readable on dark and on bright', () => {
    const text = read('docs/images/voice-assistant.svg');
    expect(text).toContain('prefers-color-scheme:dark');
    expect(text).toContain('class="ground"');
  });
});
