import { invalidFields } from '../../pipelines/invalid-fields.js';

/** The code of what is wrong in a file that is imported: in a trace, or in measurements. */
export type ImportCode = 'INVALID_TRACE' | 'INVALID_PROFILE';

/** The error for one place of a file. */
export const wrong = (field: string, message: string, code: ImportCode) => invalidFields(code, [{ field, message }]);
