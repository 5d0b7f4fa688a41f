import { codeOfStatus, errorMapper } from '../http-fault.js';

/** What a failed call of an API means. Nothing is known of its words, so the status decides. */
export const mapError = errorMapper(codeOfStatus);
