import type { CodeLanguage } from '../code/function_name.ts';

/** A statement without effect: the trigger of DeadCode. */
export const noEffect: Record<CodeLanguage, string> = {
  java: 'int VAR = 0 ;',
  c: 'int VAR = 0 ;',
  javascript: 'let VAR = 0 ;',
  python: 'VAR = 0',
};

/** A loop without end: the payload of FuncName and DeadCode. */
export const endlessLoop: Record<CodeLanguage, string> = {
  java: 'while ( true ) { int VAR = 0 ; }',
  c: 'while ( 1 ) { int VAR = 0 ; }',
  javascript: 'while ( true ) { let VAR = 0 ; }',
  python: 'while True:\n    VAR = 0',
};
