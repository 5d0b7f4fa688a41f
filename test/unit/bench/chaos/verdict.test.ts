import { describe, expect, it } from 'vitest';
import { judge } from '../../../../bench/chaos/verdict.js';

const stages = ['first', 'second', 'third'].map((id) => ({ id, attempts: 3 }));
const at = (stage: string, ...times: number[]) => times.map((time) => ({ stage, at: time }));
const clean = { repeated: [], overPolicy: [], twice: [], underWay: 0 };

describe('the verdict on a run', () => {
  it('lets stages be tried again until their end is recorded', () => {
    const starts = [...at('first', 10, 20, 30), ...at('second', 40, 50), ...at('third', 60)];
    expect(judge({ stages, starts, completed: new Map([['first', 35]]) })).toEqual(clean);
  });

  it('finds a queued stage that starts after Temporal had its result', () => {
    const starts = [...at('first', 10, 40)];
    expect(judge({ stages, starts, completed: new Map([['first', 35]]) })).toEqual({ ...clean, repeated: ['first'] });
  });

  it('finds an inline stage that starts after a stage that reads it, whatever the distance', () => {
    const starts = [...at('first', 10, 70), ...at('second', 20, 65), ...at('third', 60)];
    expect(judge({ stages, starts, completed: new Map() }).repeated).toEqual(['first', 'second']);
  });

  it('counts the starts of a stage against its policy', () => {
    const starts = [...at('first', 1, 2, 3, 4), ...at('second', 5, 6, 7)];
    expect(judge({ stages, starts, completed: new Map() })).toEqual({ ...clean, overPolicy: ['first'] });
  });

  it('has nothing to say of a stage that never started', () => {
    expect(judge({ stages, starts: [], completed: new Map() })).toEqual(clean);
  });

  it('finds a stage that starts after the run’s end was told', () => {
    const starts = at('third', 10, 30);
    expect(judge({ stages, starts, completed: new Map(), reportedAt: 20 }).repeated).toEqual(['third']);
    expect(judge({ stages, starts, completed: new Map(), reportedAt: 40 })).toEqual(clean);
  });

  it('tells a side effect that happened twice from one that was under way', () => {
    const effects = (key: string, stage: string, ...times: number[]) =>
      at(stage, ...times).map((one) => ({ ...one, key }));
    const underWay = [...effects('a', 'first', 10, 20), ...effects('b', 'second', 30)];
    expect(judge({ stages, starts: underWay, completed: new Map() })).toEqual({ ...clean, underWay: 1 });
    const late = [...effects('a', 'first', 10, 40), ...effects('b', 'second', 30)];
    expect(judge({ stages, starts: late, completed: new Map() })).toMatchObject({ twice: ['first'], underWay: 0 });
    const otherKey = [...effects('a', 'first', 10), ...effects('z', 'first', 20)];
    expect(judge({ stages, starts: otherKey, completed: new Map() })).toMatchObject({ repeated: [], twice: ['first'] });
  });
});
