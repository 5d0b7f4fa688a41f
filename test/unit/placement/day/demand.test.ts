import { describe, expect, it } from 'vitest';
import { levelsOf } from '../../../../placement/day/candidates.js';
import { distinctHours, type Hour, hoursOfRates, hoursOfTraces, peakOf } from '../../../../placement/day/demand.js';
import { readRates } from '../../../../placement/day/read-rates.js';
import { readTrace } from '../../../../placement/trace/index.js';
import { refusal } from '../refusal.js';

const PIPELINES = ['voice', 'search'];
const read = (text: string, pipelines: readonly string[] = PIPELINES) => readRates(text, 'day.csv', pipelines);

describe('a table of rates', () => {
  it('has a line for each hour, with the pipelines in any order; blank lines and comments are skipped', () => {
    expect(read('# Monday\nhour,search,voice\n0,5,0.5\n\n1, 6 ,0\n')).toEqual([
      [0.5, 5],
      [0, 6],
    ]);
    expect(read('hour,rate\n0,2\n', ['voice'])).toEqual([[2]]);
    expect(read('hour,voice\n0,2\n', ['voice'])).toEqual([[2]]);
  });

  it.each([
    ['', 'day.csv:1: the first column is "", not "hour": begin with a line hour,voice,search'],
    ['time,voice,search\n0,1,1', 'day.csv:1: the first column is "time", not "hour"'],
    ['hour,voice,serach\n0,1,1', 'day.csv:1: no pipeline is called "serach" (did you mean "search"?)'],
    ['hour,voice\n0,1', 'day.csv:1: the pipeline "search" has no column'],
    ['hour,voice,voice\n0,1,1', 'day.csv:1: the column "voice" is there twice'],
    ['hour,voice,search\n', 'day.csv:1: the table has no hours'],
    ['hour,voice,search\n0,1,1\n2,1,1', 'day.csv:3: the hour is not 1: give one line for each hour, from 0 on'],
    ['hour,voice,search\n0,1', 'day.csv:2: it has 2 columns, not 3: give hour,voice,search'],
    ['hour,voice,search\n0,1,-1', 'day.csv:2: "0,1,-1": a rate is a number of runs a second'],
    ['hour,voice,search\n0,1,many', 'day.csv:2: "0,1,many": a rate is a number'],
    ['hour,voice,search\n0,1,0', 'day.csv:1: "search" has no runs in any hour'],
    [
      `hour,voice,search\n${Array.from({ length: 169 }, (_, h) => `${h},1,1`).join('\n')}`,
      'day.csv:1: it has 169 hours: give at most 168',
    ],
  ])('is refused with its line: %j', (text, message) => {
    const { code, fields } = refusal(() => read(text));
    expect(code).toBe('INVALID_TRACE');
    expect(fields).toEqual([expect.stringContaining(message)]);
  });

  it('plans an hour without runs for a hundredth of the busiest, and hours of equal rates once', () => {
    const hours = hoursOfRates([[4], [0], [4], [0.01]], 1.5);
    expect(hours.map(({ rates }) => rates)).toEqual([[4], [0], [4], [0.01]]);
    expect(hours.map(({ arriving }) => arriving)).toEqual([
      [{ rate: 4, cv: 1.5 }],
      [{ rate: 0.04, cv: 1.5 }],
      [{ rate: 4, cv: 1.5 }],
      [{ rate: 0.04, cv: 1.5 }],
    ]);
    expect(distinctHours(hours).map(({ rates }) => rates)).toEqual([[4], [0]]);
  });
});

describe('the hours of traces', () => {
  const HOUR = 3600;
  const trace = (times: readonly number[]) =>
    readTrace(['timestamp_s,audio_s', ...times.map((at, i) => `${at.toFixed(1)},${i}`)].join('\n'));
  const timesOf = (hour: Hour | undefined, p = 0) => {
    const each = hour?.arriving[p];
    return each && 'trace' in each ? [...each.trace.timesMs] : [];
  };

  it('are counted from the first run, with the trace’s own arrivals from the start of each hour', () => {
    const hours = hoursOfTraces([trace([100.5, 101.5, 100.5 + HOUR, 100.5 + 2.5 * HOUR])]);
    expect(hours).toHaveLength(3);
    expect(hours.map((hour) => timesOf(hour))).toEqual([[0, 1000], [0], [0.5 * HOUR * 1000]]);
    expect(hours[0]?.rates[0]).toBeCloseTo(2 / HOUR, 12);
    const [first] = hours[1]?.arriving ?? [];
    expect(first && 'trace' in first ? [...(first.trace.sizes.audio_s ?? [])] : []).toEqual([2]);
    expect(new Set(hours.map(({ key }) => key)).size).toBe(3);
  });

  it('without runs are planned for every hundredth run of the busiest hour', () => {
    const busy = Array.from({ length: 250 }, (_, i) => 0.5 + i);
    const hours = hoursOfTraces([trace([...busy, 2.5 * HOUR])]);
    expect(hours.map(({ rates: [rate = 0] }) => Math.round(rate * HOUR))).toEqual([250, 0, 1]);
    expect(timesOf(hours[1])).toEqual([0, 100_000, 200_000]);
  });

  it('are refused of a trace of one hour, and of more than a week', () => {
    expect(refusal(() => hoursOfTraces([trace([0.5, 60.5])])).fields[0]).toMatch(/^--trace: the trace is not longer/);
    expect(refusal(() => hoursOfTraces([trace([0.5, 169 * HOUR])])).fields[0]).toMatch(
      /^--trace: the trace has 169 ho/,
    );
  });
});

describe('the levels of a day', () => {
  const day = (...rates: readonly (readonly number[])[]) => hoursOfRates(rates, 1);

  it('begin with the peak, of all pipelines at once, and end with the quietest hour', () => {
    expect(levelsOf(day([1], [3], [2], [3])).map(({ rates }) => rates)).toEqual([[3], [2], [1]]);
    const apart = day([4, 1], [1, 5]);
    expect(peakOf(apart)).toMatchObject({ rates: [4, 5], arriving: [{ rate: 4 }, { rate: 5 }] });
    expect(levelsOf(apart).map(({ rates }) => rates)).toEqual([
      [4, 5],
      [1, 5],
      [4, 1],
    ]);
    expect(peakOf(day([4, 5], [1, 5]))).toMatchObject({ key: day([4, 5])[0]?.key });
  });

  it('are at most eight', () => {
    const hours = day(...Array.from({ length: 24 }, (_, h) => [1 + h]));
    const many = levelsOf(hours).map(({ rates: [rate] }) => rate);
    expect(many).toHaveLength(8);
    expect([many[0], many[1], many[7]]).toEqual([24, 23, 1]);
    expect(new Set(many).size).toBe(8);
  });
});
