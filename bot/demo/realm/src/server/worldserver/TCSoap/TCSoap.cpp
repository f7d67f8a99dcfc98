#include "TCSoap/TCSoap.h"
#include "Accounts/AccountMgr.h"
#include "Logging/Log.h"
#include "Platform/Process.h"
#include "Utilities/Text.h"
#include "World/World.h"
#include <utility>

namespace
{
    constexpr uint64 RequestTimeout = 5000; // ms
    constexpr std::size_t MaxRequest = 1 << 20;

    struct Request
    {
        std::string Head; // up to the empty line
        std::string Body;
    };

    struct Response
    {
        char const* Status;
        std::string Body;
    };

    std::string GetHeader(std::string const& head, std::string const& name)
    {
        std::string const upper = Trinity::ToUpper(head);
        std::string const key = "\r\n" + Trinity::ToUpper(name) + ":";
        std::size_t const at = upper.find(key);
        if (at == std::string::npos)
            return {};
        std::size_t const begin = at + key.size();
        return Trinity::Trim(head.substr(begin, head.find("\r\n", begin) - begin));
    }

    bool ReadRequest(Net::Socket& socket, Request& request)
    {
        std::string received;
        uint64 const deadline = Platform::GetMSTime() + RequestTimeout;
        while (Platform::GetMSTime() < deadline && received.size() < MaxRequest)
        {
            std::size_t const end = received.find("\r\n\r\n");
            if (end != std::string::npos)
            {
                request.Head = received.substr(0, end + 2);
                int64_t const length = Trinity::ParseNumber(GetHeader(request.Head, "Content-Length"), 0);
                request.Body = received.substr(end + 4);
                if (static_cast<int64_t>(request.Body.size()) >= length)
                    return true;
            }
            if (socket.Receive(received, 100) == Net::ReadState::Closed)
                return false;
        }
        return false;
    }

    std::string DecodeBase64(std::string const& text)
    {
        static std::string const Alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        std::string decoded;
        uint32 bits = 0;
        uint32 held = 0;
        for (char letter : text)
        {
            std::size_t const value = Alphabet.find(letter);
            if (value == std::string::npos)
                break;
            bits = bits << 6 | static_cast<uint32>(value);
            held += 6;
            if (held < 8)
                continue;
            held -= 8;
            decoded += static_cast<char>(bits >> held & 0xFF);
        }
        return decoded;
    }

    bool CheckLogin(std::string const& head)
    {
        std::string value = GetHeader(head, "Authorization");
        if (Trinity::TakeWord(value) != "Basic")
            return false;
        std::string const login = DecodeBase64(value);
        std::size_t const colon = login.find(':');
        return colon != std::string::npos && AccountMgr::CheckPassword(login.substr(0, colon), login.substr(colon + 1));
    }

    std::string EscapeXml(std::string const& text)
    {
        std::string escaped;
        for (char letter : text)
        {
            switch (letter)
            {
                case '&': escaped += "&amp;"; break;
                case '<': escaped += "&lt;"; break;
                case '>': escaped += "&gt;"; break;
                case '"': escaped += "&quot;"; break;
                case '\r': escaped += "&#xD;"; break;
                default: escaped += letter;
            }
        }
        return escaped;
    }

    std::string UnescapeXml(std::string text)
    {
        static constexpr std::pair<char const*, char const*> Entities[] = { { "&lt;", "<" }, { "&gt;", ">" }, { "&quot;", "\"" },
            { "&apos;", "'" }, { "&#xD;", "\r" }, { "&amp;", "&" } };
        for (auto const& [entity, letter] : Entities)
            for (std::size_t at = text.find(entity); at != std::string::npos; at = text.find(entity, at + 1))
                text.replace(at, std::string(entity).size(), letter);
        return text;
    }

    // The text of the element <command>, with any name space before it and any attributes in it.
    std::string FindCommand(std::string const& body)
    {
        for (std::size_t at = body.find("command"); at != std::string::npos; at = body.find("command", at + 1))
        {
            bool const opens = at > 0 && (body[at - 1] == '<' || body[at - 1] == ':') && body.compare(at - 2, 2, "</") != 0;
            std::size_t const begin = body.find('>', at);
            if (!opens || begin == std::string::npos || body[begin - 1] == '/')
                continue;
            return UnescapeXml(body.substr(begin + 1, body.find("</", begin) - begin - 1));
        }
        return {};
    }

    std::string Envelope(std::string const& content)
    {
        return "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
               "<SOAP-ENV:Envelope xmlns:SOAP-ENV=\"http://schemas.xmlsoap.org/soap/envelope/\" "
               "xmlns:SOAP-ENC=\"http://schemas.xmlsoap.org/soap/encoding/\" xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" "
               "xmlns:xsd=\"http://www.w3.org/2001/XMLSchema\" xmlns:ns1=\"urn:TC\"><SOAP-ENV:Body>" + content
            + "</SOAP-ENV:Body></SOAP-ENV:Envelope>\n";
    }

    Response Fault(std::string const& text)
    {
        std::string const escaped = EscapeXml(text);
        return { "500 Internal Server Error", Envelope("<SOAP-ENV:Fault><faultcode>SOAP-ENV:Client</faultcode><faultstring>" + escaped
            + "</faultstring><detail>" + escaped + "</detail></SOAP-ENV:Fault>") };
    }

    Response Answer(Request const& request)
    {
        if (request.Head.compare(0, 5, "POST ") != 0)
            return { "405 Method Not Allowed", {} };
        if (!CheckLogin(request.Head))
            return { "401 Unauthorized", {} };
        if (AccountMgr::GetSecurity() < AccountMgr::SEC_ADMINISTRATOR)
            return { "403 Forbidden", {} };
        std::string const command = FindCommand(request.Body);
        if (Trinity::Trim(command).empty())
            return Fault("Command can not be empty");

        TC_LOG_INFO("network.soap", "Received command '%s'", command.c_str());
        CommandResult const result = sWorld->QueueCliCommand(command).get();
        if (!result.Success)
            return Fault(result.Output);
        return { "200 OK", Envelope("<ns1:executeCommandResponse><result>" + EscapeXml(result.Output)
            + "</result></ns1:executeCommandResponse>") };
    }
}

bool SoapServer::Start(std::string const& ip, uint16 port)
{
    if (!_listener.Bind(ip, port))
    {
        TC_LOG_ERROR("network.soap", "Couldn't bind to %s:%u", ip.c_str(), port);
        return false;
    }
    TC_LOG_INFO("network.soap", "Bound to http://%s:%u", ip.c_str(), port);
    _thread = std::thread(&SoapServer::Run, this);
    return true;
}

void SoapServer::Stop()
{
    _stopped = true;
    if (_thread.joinable())
        _thread.join();
    _listener.Close();
}

void SoapServer::Run()
{
    while (!_stopped)
    {
        Net::Socket accepted = _listener.Accept(50);
        if (accepted.IsOpen())
            Serve(accepted);
    }
}

void SoapServer::Serve(Net::Socket& socket)
{
    Request request;
    if (!ReadRequest(socket, request))
        return;
    Response const response = Answer(request);
    std::string head = std::string("HTTP/1.1 ") + response.Status + "\r\nServer: gSOAP/2.8\r\n";
    if (std::string(response.Status).compare(0, 3, "401") == 0)
        head += "WWW-Authenticate: Basic realm=\"gSOAP Web Service\"\r\n";
    head += "Content-Type: text/xml; charset=utf-8\r\nContent-Length: " + std::to_string(response.Body.size())
        + "\r\nConnection: close\r\n\r\n";
    socket.Send(head + response.Body);
}
