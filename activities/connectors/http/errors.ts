import { codeOfStatus, errorMapper } from '../http-fault.js';

/** Maps a failed call of an API to a code by its status alone: the wording of the API's errors is unknown. */
export const mapError = errorMapper(codeOfStatus);
