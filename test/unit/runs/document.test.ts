import { expect, test } from 'vitest';
import { type RunDocument, withoutPlace } from '../../../runs/document.js';

test('all who follow a failed run and may not read have one document', () => {
  const failed = { status: 'failed', error: { code: 'CODE_FAILED', message: 'no', at: 'pipelines.ts:1:1' } };
  const document = failed as unknown as RunDocument;
  expect(withoutPlace(document)).toBe(withoutPlace(document));
  expect(withoutPlace(document).error).toEqual({ code: 'CODE_FAILED', message: 'no' });
});
