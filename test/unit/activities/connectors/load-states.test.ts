import { expect, it } from 'vitest';
import { loadStates } from '../../../../activities/connectors/load-states.js';

it('of a model’s versions one that is ready counts first, then one that is being loaded', () => {
  const index = [
    { name: 'never' },
    { name: 'gone', state: 'UNAVAILABLE' },
    { name: 'unknown', state: 'UNKNOWN' },
    { name: 'two', state: 'UNLOADING' },
    { name: 'two', state: 'READY' },
    { name: 'two', state: 'UNAVAILABLE' },
    { name: 'new', state: 'UNLOADING' },
    { name: 'new', state: 'LOADING' },
    { name: 'old', state: 'UNLOADING' },
    { name: 'empty', state: '' },
    { name: 'grpc', state: 'State.READY' },
    { name: 'grpc-gone', state: 'State.UNAVAILABLE' },
  ];
  expect(Object.fromEntries(loadStates(index))).toEqual({
    two: 'ready',
    new: 'loading',
    old: 'unloading',
    grpc: 'ready',
  });
});
