export { Answers, publishAnswer } from './answers.js';
