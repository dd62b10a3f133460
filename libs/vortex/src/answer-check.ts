import { DfError } from '@dragonfly/errors';
import type { PieceExpectation } from './exchange.js';
import { type PieceMetadata, type WireError, WIRE_ERROR_CODES } from './frame.js';

/** @throws DfError `data-loss` when the answer is about another piece than the one that was asked for */
export function checkMetadata(address: string, metadata: PieceMetadata, expectation: PieceExpectation): void {
  const { pieceNumber, lengthBytes, offsetBytes, digest } = expectation;
  const wrong = [
    metadata.number === pieceNumber ? '' : `number ${metadata.number}, not ${pieceNumber}`,
    metadata.lengthBytes === lengthBytes ? '' : `length ${metadata.lengthBytes}, not ${lengthBytes}`,
    offsetBytes === undefined || metadata.offsetBytes === offsetBytes
      ? ''
      : `offset ${metadata.offsetBytes}, not ${offsetBytes}`,
    digest === undefined || metadata.digest === '' || metadata.digest === digest
      ? ''
      : `digest ${metadata.digest}, not ${digest}`,
  ].filter((text) => text !== '');
  if (wrong.length === 0) return;
  throw new DfError('data-loss', `parent ${address} answers piece ${pieceNumber} with ${wrong.join(', ')}`);
}

/** What a parent refused, in our terms; its own code is in `details.wireCode`. */
export function errorOfAnswer(address: string, error: WireError): DfError {
  const message = `parent ${address} refused: ${error.text}`;
  const details = { wireCode: error.code };
  switch (error.code) {
    case WIRE_ERROR_CODES.notFound:
      return new DfError('not-found', message, { details });
    case WIRE_ERROR_CODES.invalidArgument:
      return new DfError('invalid-argument', message, { details });
    default:
      return new DfError('internal', message, { details });
  }
}
