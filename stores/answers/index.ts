export { type Answer, Answers, publishAnswer } from './answers.js';
