/** Every part's environment holds this variable with the stack's home: the mark by which strays are found. */
export const STACK_MARK = 'MILLRACE_STACK_HOME';

/** An installer's environment holds this variable with the venv's folder. */
export const INSTALL_MARK = 'MILLRACE_INSTALLS_INTO';
