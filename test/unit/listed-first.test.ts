import path from 'node:path';
import { expect, it } from 'vitest';
import type { TestSpecification, Vitest } from 'vitest/node';
import { listedFirst } from '../support/listed-first.js';

const project = (name: string, groupOrder: number) => ({ name, config: { isolate: true, sequence: { groupOrder } } });
const [slow, waiting] = [project('slow', 1), project('waiting', 2)];
const spec = (of: object, name: string) => ({ project: of, moduleId: path.resolve(name) }) as TestSpecification;

it('begins each project with the listed files, as they are listed', async () => {
  const sizes: Readonly<Record<string, number>> = {
    'a.ts': 1,
    'b.ts': 9,
    'c.ts': 5,
    'd.ts': 7,
    'e.ts': 12,
    'f.ts': 11,
  };
  const cache = {
    getFileTestResults: () => undefined,
    getFileStats: (key: string) => ({ size: sizes[key.slice(key.indexOf(':') + 1)] }),
  };
  const Sequencer = listedFirst(['a.ts', 'c.ts', 'b.ts']);
  const sequencer = new Sequencer({ config: { root: process.cwd() }, cache } as unknown as Vitest);
  const names = ['a.ts', 'b.ts', 'c.ts', 'e.ts', 'f.ts'];
  const specs = [...names.map((name) => spec(waiting, name)), spec(slow, 'd.ts')];
  const sorted = await sequencer.sort(specs);
  // The others come behind them, the largest first.
  const expected = ['d.ts', 'a.ts', 'c.ts', 'b.ts', 'e.ts', 'f.ts'];
  expect(sorted.map(({ moduleId }) => path.basename(moduleId))).toEqual(expected);
});
