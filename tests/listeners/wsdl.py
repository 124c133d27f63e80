"""A service of one operation, `result`, for a source and for a destination."""

WSDL = """\
<definitions xmlns="http://schemas.xmlsoap.org/wsdl/" xmlns:t="urn:lab" name="Lab"
  xmlns:soap="http://schemas.xmlsoap.org/wsdl/soap/" targetNamespace="urn:lab"
  xmlns:xsd="http://www.w3.org/2001/XMLSchema">
 <types><xsd:schema targetNamespace="urn:lab" elementFormDefault="qualified">
  <xsd:element name="result"><xsd:complexType><xsd:sequence>
   <xsd:element name="ward" type="xsd:int"/><xsd:element name="hl7" type="xsd:string"/>
  </xsd:sequence></xsd:complexType></xsd:element>
  <xsd:element name="resultResponse"><xsd:complexType><xsd:sequence>
   <xsd:element name="ack" type="xsd:string"/>
  </xsd:sequence></xsd:complexType></xsd:element>
 </xsd:schema></types>
 <message name="in"><part name="p" element="t:result"/></message>
 <message name="out"><part name="p" element="t:resultResponse"/></message>
 <portType name="P"><operation name="result"><input message="t:in"/><output message="t:out"/>
 </operation></portType>
 <binding name="B" type="t:P"><soap:binding transport="http://schemas.xmlsoap.org/soap/http"/>
  <operation name="result"><soap:operation soapAction="urn:lab:result" style="document"/>
   <input><soap:body use="literal"/></input><output><soap:body use="literal"/></output>
  </operation></binding>
 <service name="S"><port name="P" binding="t:B"><soap:address location="http://x/"/></port>
 </service>
</definitions>"""
