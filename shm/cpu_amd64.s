#include "textflag.h"

// func prefetchWrite(first unsafe.Pointer, stride uintptr, n, lines int)
TEXT ·prefetchWrite(SB), NOSPLIT, $0-32
	MOVQ first+0(FP), AX
	MOVQ stride+8(FP), BX
	MOVQ n+16(FP), CX
	MOVQ lines+24(FP), DX

slot:
	MOVQ AX, SI
	MOVQ DX, DI

line:
	BYTE $0x0f; BYTE $0x0d; BYTE $0x0e // PREFETCHW (SI), which the assembler does not know
	ADDQ $64, SI
	DECQ DI
	JNZ  line
	ADDQ BX, AX
	DECQ CX
	JNZ  slot
	RET

// func relax()
TEXT ·relax(SB), NOSPLIT, $0-0
	PAUSE
	PAUSE
	RET
