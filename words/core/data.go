package core

import (
	"net/netip"

	"ethertap/interp"
)

var dataWords = []interp.Word{
	{Name: "datacat", Stack: "( data data - data )", Help: "concatenates data", Example: "\"ab\" \"cd\" datacat .", Func: datacat},
	{Name: "str->ip_t", Stack: "( string - ip )", Help: "converts a string to an IP address of 16 bytes", Example: "\"10.1.1.1\" str->ip_t .", Func: strToIP},
}

func datacat(s *interp.Session) error {
	b, err := s.PopData()
	if err != nil {
		return err
	}
	a, err := s.PopData()
	if err != nil {
		return err
	}
	return s.Push(interp.NewData(append(a, b...)))
}

func strToIP(s *interp.Session) error {
	a, err := s.PopIP()
	if err != nil {
		return err
	}
	return s.Push(interp.NewIP(netip.AddrFrom16(a.As16())))
}
