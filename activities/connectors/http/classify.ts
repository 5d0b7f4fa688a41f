import { classifier, codeOfStatus } from '../http-fault.js';

/** What a failed call of an API means. Nothing is known of its words, so the status decides. */
export const classify = classifier(codeOfStatus);
