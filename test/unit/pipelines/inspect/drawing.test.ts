import { describe, expect, it } from 'vitest';
import { SEGMENTS } from '../../../../cli/graph.js';
import { pipelines } from '../../../../pipelines/catalog/index.js';
import { mermaid, svg } from '../../../../pipelines/inspect/index.js';
import { layered } from '../../../../pipelines/inspect/layout.js';

import { everything } from './everything.js';

const ALL = [...pipelines, everything];

describe('a Mermaid flowchart', () => {
  const text = mermaid(everything.plan, SEGMENTS);

  it('shows stages, control flow, segments and fields', () => {
    for (const part of [
      's_answer["answer<br/>chat · assistant<br/>cache · hedged"]',
      's_answer -. "less than 20s left" .-> s_answer_else_1',
      's_answer_else_1(["with maxTokens 16"])',
      's_answer -. "on failure" .-> s_answer_else_3',
      'subgraph segment1 ["inline segment"]',
      'subgraph s_branch ["when · branch · if answer.finish = #quot;stop#quot;"]',
      'subgraph s_branch_otherwise ["otherwise"]',
      'subgraph s_all ["each · all · 2 at once"]',
      'subgraph s_again ["repeat · again · at most 5 · until state.n ≥ 9"]',
      'subgraph s_fast_left ["left"]',
      's_child[["child<br/>child run · inner"]]',
      's_input -- "list" --> s_all_item',
      's_all_item --> s_fourth',
      's_second -- "n" --> s_third',
      's_answer -- "finish" --> s_branch',
      's_answer -- "text" --> s_output',
    ]) {
      expect(text).toContain(part);
    }
  });

  it('shows what is read while it is made', () => {
    const { plan } = pipelines.find(({ name }) => name === 'voice-assistant') as (typeof pipelines)[number];
    expect(mermaid(plan, SEGMENTS)).toMatch(/^ *s_\w+ == "sentences" ==> s_\w+$/m);
  });

  it.each(ALL.map(({ name, plan }) => [name, plan] as const))(
    'of %s is balanced, and links what it defines',
    (_, plan) => {
      const lines = mermaid(plan, SEGMENTS)
        .trimEnd()
        .split('\n')
        .map((line) => line.trim());
      const opened = lines.filter((line) => line.startsWith('subgraph ')).length;
      expect(lines.filter((line) => line === 'end')).toHaveLength(opened);
      const defined = new Set(lines.flatMap((line) => /^(?:subgraph )?(\w+) ?[[(]/.exec(line)?.slice(1, 2) ?? []));
      for (const line of lines) {
        const [, from, to] = /^(\w+) (?:(?:-- ".*" )?-->|== ".*" ==>) (\w+)$/.exec(line) ?? [];
        if (from !== undefined) expect([...defined], line).toEqual(expect.arrayContaining([from, to]));
      }
    },
  );
});

describe('an SVG picture', () => {
  it.each(ALL.map(({ name, plan }) => [name, plan] as const))(
    'of %s is well-formed, complete and always the same',
    (_, plan) => {
      const picture = svg(plan, SEGMENTS);
      expect(svg(plan, SEGMENTS)).toBe(picture);
      expect(picture).not.toMatch(/NaN|Infinity|undefined/);
      const opened = [...picture.matchAll(/<(g|svg|text|defs|marker|style|title)[ >]/g)].length;
      expect([...picture.matchAll(/<\/(g|svg|text|defs|marker|style|title)>/g)]).toHaveLength(opened);
      for (const { id } of plan.stages) expect(picture).toContain(id);
    },
  );

  it('is for light and dark grounds', () => {
    expect(svg(everything.plan, SEGMENTS)).toContain('prefers-color-scheme:dark');
  });
});

describe('the layout', () => {
  const box = (id: string, height = 40) => ({ id, width: 100, height });
  const link = (from: string, to: string, label = '') => ({ from, to, label });
  const diamond = layered(
    ['a', 'b', 'c', 'd'].map((id) => box(id)),
    [link('a', 'b', 'a long label of a field'), link('a', 'c'), link('b', 'd'), link('c', 'd'), link('a', 'd')],
    (text) => text.length * 6,
  );

  it('puts every box right of what it comes from, with room for the label', () => {
    const x = (id: string) => diamond.at.get(id)?.x ?? -1;
    expect(x('b')).toBe(x('c'));
    expect(x('b') - (x('a') + 100)).toBeGreaterThanOrEqual(23 * 6);
    expect(x('d')).toBeGreaterThan(x('b') + 100);
  });

  it('lets no boxes overlap, and leads long lines between them', () => {
    const [b, c] = [diamond.at.get('b'), diamond.at.get('c')];
    expect(Math.abs((b?.y ?? 0) - (c?.y ?? 0))).toBeGreaterThanOrEqual(40);
    const long = diamond.paths.find(({ link }) => link.from === 'a' && link.to === 'd');
    const between = long?.points.filter(({ x }) => x >= (b?.x ?? 0) && x <= (b?.x ?? 0) + 100) ?? [];
    expect(between.length).toBeGreaterThan(0);
    for (const { y } of between) for (const top of [b?.y ?? 0, c?.y ?? 0]) expect(y < top || y > top + 40).toBe(true);
  });

  it('begins at the upper left', () => {
    const all = [...diamond.at.values()];
    expect(Math.min(...all.map(({ x }) => x))).toBe(0);
    expect(Math.min(...all.map(({ y }) => y))).toBeGreaterThanOrEqual(0);
    expect(layered([], [], () => 0)).toMatchObject({ width: 0, height: 0 });
  });
});
