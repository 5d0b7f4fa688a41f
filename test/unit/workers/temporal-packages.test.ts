import { expect, it } from 'vitest';
import { requireOneTemporal } from '../../../workers/temporal-packages.js';

it('one release of Temporal’s packages is installed here', () => {
  expect(() => requireOneTemporal()).not.toThrow();
});

it('a mix of releases is refused, with the command that ends it', () => {
  const versionOf = (name: string) => (name === '@temporalio/client' ? '1.24.1' : '1.27.0');
  expect(() => requireOneTemporal(versionOf)).toThrow(
    '@temporalio/client: is 1.24.1, but @temporalio/worker is 1.27.0: install one release of all: npm install @temporalio/worker@1.27.0 @temporalio/client@1.27.0',
  );
});
