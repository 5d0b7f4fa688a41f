import { codeOfStatus, errorMapper } from '../http-fault.js';

/** Maps what a call throws to a code; failed answers have one by the description's rules already. */
export const mapError = errorMapper(codeOfStatus);
